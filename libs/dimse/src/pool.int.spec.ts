import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { eventually } from '@isthmus/testing';
import { allContexts, startAcceptor } from '../test/acceptor-under-test.ts';
import { commandPdu, scriptedAcceptor } from '../test/scripted-peer.ts';
import { associationPool, PoolExhaustedError } from './index.ts';
import type { AssociationPoolOptions, RequestAssociationOptions, RequestedAssociation } from './index.ts';

function pool(t: TestContext, options: AssociationPoolOptions = {}) {
  const it = associationPool(options);
  t.after(() => it.stop());
  return it;
}

const peer = (port: number): RequestAssociationOptions => ({
  host: '127.0.0.1',
  port,
  calledAeTitle: 'ACCEPTOR',
  callingAeTitle: 'REQUESTOR',
  contexts: allContexts,
});

const accepted = (events: readonly { type: string }[]) =>
  events.filter(({ type }) => type === 'accepted').length;

describe('association pool', () => {
  it('uses an association again for the same peer and for fewer contexts, not for others', async (t) => {
    const { port, events } = await startAcceptor(t);
    const it = pool(t);
    const echo = (association: RequestedAssociation) => association.cEcho();
    assert.equal((await it.use(peer(port), echo)).status, 0);
    await it.use({ ...peer(port), contexts: allContexts.slice(0, 1) }, echo);
    assert.equal(accepted(events), 1);
    const more = [...allContexts, { sopClassUid: '1.2.3', transferSyntaxUids: ['1.2.840.10008.1.2'] }];
    await it.use({ ...peer(port), contexts: more }, echo);
    await it.use({ ...peer(port), callingAeTitle: 'ANOTHER' }, echo);
    assert.equal(accepted(events), 3);
  });

  it('opens no more than its maximum per peer and lets the others wait for their turn', async (t) => {
    const { port, acceptor } = await startAcceptor(t);
    const it = pool(t, { associationsPerPeerMax: 2 });
    let together = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 20 }, () =>
        it.use(peer(port), async (association) => {
          together += 1;
          most = Math.max(most, together);
          await association.cEcho();
          together -= 1;
        }),
      ),
    );
    assert.equal(most, 2);
    assert.ok(acceptor.connections <= 2);
  });

  it('falls back to the association that a peer grants, and remembers it for a while', async (t) => {
    const { port, events } = await startAcceptor(t, { limits: { associationsMax: 1 } });
    const rejected = () => events.filter(({ type }) => type === 'rejected').length;
    const it = pool(t, { grantRememberedMs: 60_000 });
    const held = Promise.withResolvers<void>();
    const first = it.use(peer(port), async (one) => {
      await held.promise;
      return one.cEcho();
    });
    await eventually('the first', () => accepted(events) === 1);
    const others = [1, 2, 3].map(() => it.use(peer(port), (one) => one.cEcho()));
    await eventually('the others to be rejected', () => rejected() === 3);
    const later = it.use(peer(port), (one) => one.cEcho());
    held.resolve();
    for (const { status } of await Promise.all([first, ...others, later])) assert.equal(status, 0);
    assert.deepEqual([accepted(events), rejected(), it.open], [1, 3, 1]);
  });

  it('closes one for other contexts to make room', async (t) => {
    const { port, events } = await startAcceptor(t);
    const it = pool(t, { associationsPerPeerMax: 1 });
    await it.use({ ...peer(port), contexts: allContexts.slice(0, 1) }, (one) => one.cEcho());
    await it.use(peer(port), (one) => one.cEcho());
    await eventually('the release of the first', () => events.some(({ type }) => type === 'released'));
    assert.equal(it.open, 1);
  });

  it('releases what nobody uses', async (t) => {
    const { port, event } = await startAcceptor(t);
    const it = pool(t, { idleMs: 10 });
    await it.use(peer(port), (one) => one.cEcho());
    await event('released');
    await eventually('the pool to be empty', () => it.open === 0);
  });

  it('does the work once more when a kept association turns out to be dead', async (t) => {
    const { port, connections } = await scriptedAcceptor(t, async (one) => {
      await one.accept();
      for (let count = 0; ; count += 1) {
        const command = await one.receiveCommand();
        // The second request meets a peer that has gone.
        if (count === 1) return void one.socket.destroySoon();
        one.send(
          commandPdu(1, {
            commandField: 0x8030,
            hasDataSet: false,
            messageIdBeingRespondedTo: command.messageId,
            status: 0,
          }),
        );
        if (connections() === 2) return;
      }
    });
    const it = pool(t);
    let runs = 0;
    const echo = (association: RequestedAssociation) => {
      runs += 1;
      return association.cEcho();
    };
    await it.use(peer(port), echo);
    assert.equal((await it.use(peer(port), echo)).status, 0);
    assert.deepEqual([runs, connections(), it.open], [3, 2, 1]);
  });

  it('gives the error of the work and of the peer, and frees the place', async (t) => {
    const { port, acceptor } = await startAcceptor(t);
    const it = pool(t, { associationsPerPeerMax: 1 });
    await assert.rejects(
      it.use(peer(port), () => Promise.reject(new Error('refused by the caller'))),
      /refused by the caller/,
    );
    await assert.rejects(
      it.use({ ...peer(port), calledAeTitle: 'OTHER' }, () => Promise.resolve()),
      {
        code: 'DIMSE_ASSOCIATION_REJECTED',
      },
    );
    assert.equal((await it.use(peer(port), (one) => one.cEcho())).status, 0);
    await acceptor.stop();
    await eventually('the loss to be noticed', () => it.open === 0);
    await assert.rejects(
      it.use(peer(port), () => Promise.resolve()),
      { code: 'DIMSE_ASSOCIATION_LOST' },
    );
  });

  it('refuses a call when too many wait, when it waited too long, and when it is stopped', async (t) => {
    const { port } = await startAcceptor(t);
    const it = pool(t, { associationsPerPeerMax: 1, waitersMax: 1, waitMs: 20 });
    const gate = Promise.withResolvers<void>();
    const holding = it.use(peer(port), () => gate.promise);
    const waiting = it.use(peer(port), () => Promise.resolve());
    await assert.rejects(
      it.use(peer(port), () => Promise.resolve()),
      PoolExhaustedError,
    );
    await assert.rejects(waiting, PoolExhaustedError);
    gate.resolve();
    await holding;
    await it.stop();
    assert.equal(it.open, 0);
    await assert.rejects(
      it.use(peer(port), () => Promise.resolve()),
      PoolExhaustedError,
    );
  });
});
