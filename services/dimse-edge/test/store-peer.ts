import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { acceptAssociations } from '@isthmus/dimse';
import type { AcceptAssociationsOptions, AssociationEvent, StoreRequest } from '@isthmus/dimse';
import type { TestContextLike } from '@isthmus/testing';

/** A destination that keeps what it is sent. */
export interface StorePeer {
  readonly port: number;
  /** Every C-STORE that came whole, in the order of their ends. */
  readonly received: { readonly sopInstanceUid: string; readonly dataSet: Buffer }[];
  /** C-STORE under way at once, at most. */
  readonly most: { readonly stores: number; readonly associations: number };
  readonly events: AssociationEvent[];
  /** Associations accepted so far. */
  readonly accepted: number;
}

export interface StorePeerOptions {
  /** Before each C-STORE is answered; its status, if it gives one. */
  readonly onStore?: (request: StoreRequest) => Promise<number | void>;
  readonly admit?: AcceptAssociationsOptions['admit'];
  readonly operationsPerformedMax?: number;
  readonly associationsMax?: number;
}

/** Admits every context in the first transfer syntax offered, unless told otherwise; stopped after the test. */
export async function startStorePeer(
  test: TestContextLike,
  { onStore, admit, operationsPerformedMax, associationsMax }: StorePeerOptions = {},
): Promise<StorePeer> {
  const received: { sopInstanceUid: string; dataSet: Buffer }[] = [];
  const events: AssociationEvent[] = [];
  const now = { stores: 0, associations: 0 };
  const most = { stores: 0, associations: 0 };
  const change = (what: 'stores' | 'associations', by: number): void => {
    now[what] += by;
    most[what] = Math.max(most[what], now[what]);
  };
  const acceptor = await acceptAssociations({
    host: '127.0.0.1',
    port: 0,
    aeTitles: [],
    implementationClassUid: '1.2.3.4',
    implementationVersionName: 'TEST',
    admit: admit ?? admitFirst,
    handlers: {
      cStore: async (request) => {
        change('stores', 1);
        const parts: Buffer[] = [];
        for await (const part of request.data) parts.push(part);
        const status = (await onStore?.(request)) ?? 0x0000;
        received.push({ sopInstanceUid: request.sopInstanceUid, dataSet: Buffer.concat(parts) });
        change('stores', -1);
        return { status };
      },
    },
    onEvent: (event) => {
      events.push(event);
      if (event.type === 'accepted') change('associations', 1);
      if (event.type === 'released' || (event.type === 'ended' && event.association))
        change('associations', -1);
    },
    ...(operationsPerformedMax === undefined ? {} : { operationsPerformedMax }),
    ...(associationsMax === undefined ? {} : { limits: { associationsMax } }),
  });
  test.after(() => acceptor.stop({ graceMs: 0 }));
  return {
    port: acceptor.address.port,
    received,
    most,
    events,
    get accepted() {
      return events.filter(({ type }) => type === 'accepted').length;
    },
  };
}

export const admitFirst: AcceptAssociationsOptions['admit'] = ({ contexts }) => ({
  accept: true,
  contexts: contexts.map(({ id, transferSyntaxUids }) => ({
    id,
    transferSyntaxUid: transferSyntaxUids[0] as string,
  })),
});

/**
 * A way to a peer that can be cut, ended after the test. Connections have numbers, from 1.
 *
 * @param options.onBytes - Hears how many bytes have passed towards the peer, each time that some do.
 * @param options.hangs - Nobody answers on such a connection, as when a peer serves one after the other.
 */
export async function startCuttableWay(
  test: TestContextLike,
  port: number,
  {
    onBytes,
    hangs,
  }: {
    readonly onBytes?: (connection: number, bytes: number, socket: Socket) => void;
    readonly hangs?: (connection: number) => boolean;
  },
): Promise<{ readonly port: number }> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    const number = connections;
    if (hangs?.(number) === true) {
      sockets.add(near);
      near.resume().on('error', () => undefined);
      return;
    }
    const far = connect(port, '127.0.0.1');
    let bytes = 0;
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
    near.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      onBytes?.(number, bytes, near);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
  test.after(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return { port: (server.address() as AddressInfo).port };
}
