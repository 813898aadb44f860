import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { eventually } from '@isthmus/testing';
import { collect, startAcceptor } from './acceptor-under-test.ts';
import type { ScriptedPeer } from './scripted-peer.ts';
import type { AcceptAssociationsOptions } from '../src/index.ts';
import { decodeAbort } from '../src/pdu.ts';

/** Stores are kept in `stored`; a store that broke off is in `broken`. */
export async function archive(t: TestContext, overrides: Partial<AcceptAssociationsOptions> = {}) {
  const stored: Buffer[] = [];
  const broken: unknown[] = [];
  const started = await startAcceptor(t, {
    handlers: {
      cStore: async ({ data }) => {
        try {
          stored.push(await collect(data));
        } catch (error) {
          broken.push(error);
          throw error;
        }
        return { status: 0 };
      },
    },
    ...overrides,
  });
  return { ...started, stored, broken };
}

/** The peer is told why, and the connection ends. */
export async function assertAborted(peer: ScriptedPeer, reason?: number): Promise<void> {
  const answer = await peer.receive();
  assert.ok(answer !== 'closed', 'closed without A-ABORT');
  assert.equal(answer.type, 7);
  if (reason !== undefined) assert.deepEqual(decodeAbort(answer.body), { source: 2, reason });
  await eventually('the end of the connection', () => peer.isClosed || peer.socket.readableEnded);
}
