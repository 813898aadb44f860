import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { decodeCommandSet, encodeCommandSet } from '../src/command-set.ts';
import type { CommandSet } from '../src/command-set.ts';
import {
  decodeAssociateAccept,
  decodeAssociateRequest,
  encodeAssociateAccept,
  encodeAssociateRequest,
} from '../src/pdu.ts';
import type { AssociateAccept, AssociateRequest, UserInformation } from '../src/pdu.ts';
import { allContexts } from './acceptor-under-test.ts';

export interface Pdu {
  readonly type: number;
  readonly body: Buffer;
}

const receiveMs = 10_000;

/** A peer that says on a raw socket exactly what a test tells it to, legal or not. */
export class ScriptedPeer {
  readonly socket: Socket;
  #bytes = Buffer.alloc(0);
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => (this.#bytes = Buffer.concat([this.#bytes, chunk])));
    socket.on('error', () => undefined);
    socket.on('close', () => (this.#isClosed = true));
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  send(...parts: readonly (Buffer | readonly number[])[]): void {
    this.socket.write(Buffer.concat(parts.map((part) => Buffer.from(part))));
  }

  /** One byte per write, each in its own turn of the event loop. */
  async sendByteWise(bytes: Buffer): Promise<void> {
    for (const byte of bytes) {
      this.socket.write(Buffer.from([byte]));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The next whole PDU, or `closed` when the connection ends without one. */
  async receive(): Promise<Pdu | 'closed'> {
    const deadline = performance.now() + receiveMs;
    for (;;) {
      const pdu = this.#take();
      if (pdu !== undefined) return pdu;
      if (this.#isClosed || this.socket.readableEnded) return 'closed';
      if (performance.now() > deadline) throw new Error('peer sent nothing');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  /** The next command set, from a P-DATA-TF of one PDV. */
  async receiveCommand(): Promise<CommandSet> {
    const pdu = await this.receive();
    if (pdu === 'closed' || pdu.type !== 4) throw new Error(`expected P-DATA-TF, got ${JSON.stringify(pdu)}`);
    return decodeCommandSet(pdu.body.subarray(6));
  }

  /** A-ASSOCIATE-RQ with contexts 1, 3, 5, 7 of `allContexts`, and its answer. */
  async associate(
    overrides: Partial<AssociateRequest> = {},
    user: UserInformation = {},
  ): Promise<AssociateAccept> {
    this.send(encodeAssociateRequest({ ...associateRequest(user), ...overrides }));
    const pdu = await this.receive();
    if (pdu === 'closed' || pdu.type !== 2)
      throw new Error(`expected A-ASSOCIATE-AC, got ${JSON.stringify(pdu)}`);
    return decodeAssociateAccept(pdu.body);
  }

  /** The accepting side: takes A-ASSOCIATE-RQ and accepts every context with its first transfer syntax. */
  async accept(user: UserInformation = {}): Promise<AssociateRequest> {
    const pdu = await this.receive();
    if (pdu === 'closed' || pdu.type !== 1)
      throw new Error(`expected A-ASSOCIATE-RQ, got ${JSON.stringify(pdu)}`);
    const request = decodeAssociateRequest(pdu.body);
    this.send(
      encodeAssociateAccept({
        ...request,
        contexts: request.contexts.map(({ id, transferSyntaxUids }) => ({
          id,
          result: 0,
          transferSyntaxUid: transferSyntaxUids[0] as string,
        })),
        user: { maxPduBytes: 16_384, ...user },
      }),
    );
    return request;
  }

  #take(): Pdu | undefined {
    if (this.#bytes.length < 6) return undefined;
    const end = 6 + this.#bytes.readUInt32BE(2);
    if (this.#bytes.length < end) return undefined;
    const pdu = { type: this.#bytes.readUInt8(0), body: this.#bytes.subarray(6, end) };
    this.#bytes = this.#bytes.subarray(end);
    return pdu;
  }
}

export function associateRequest(user: UserInformation = {}): AssociateRequest {
  return {
    protocolVersion: 1,
    calledAeTitle: 'ACCEPTOR',
    callingAeTitle: 'SCRIPTED',
    applicationContextName: '1.2.840.10008.3.1.1.1',
    contexts: allContexts.map((context, index) => ({ ...context, id: index * 2 + 1 })),
    user: { maxPduBytes: 16_384, implementationClassUid: '1.2.3', ...user },
  };
}

/** Connects to an acceptor; destroyed at the end of the test. */
export async function scriptedRequestor(t: TestContext, port: number): Promise<ScriptedPeer> {
  const socket = connect({ host: '127.0.0.1', port });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return new ScriptedPeer(socket);
}

/** Listens on a free port and plays `script` on every connection; a script that throws fails the test. */
export async function scriptedAcceptor(
  t: TestContext,
  script: (peer: ScriptedPeer) => Promise<void>,
): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const failures: unknown[] = [];
  const server = createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    script(new ScriptedPeer(socket)).catch((error: unknown) => failures.push(error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
    if (failures.length > 0) throw failures[0];
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** A PDU of any type. */
export function pdu(type: number, body: Buffer | readonly number[]): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt8(type, 0);
  header.writeUInt32BE(body.length, 2);
  return Buffer.concat([header, Buffer.from(body)]);
}

/** A presentation data value: 1 = command, 2 = last (PS3.8 E.2). */
export function pdv(contextId: number, control: number, data: Buffer): Buffer {
  const header = Buffer.alloc(6);
  header.writeUInt32BE(data.length + 2, 0);
  header.writeUInt8(contextId, 4);
  header.writeUInt8(control, 5);
  return Buffer.concat([header, data]);
}

/** A P-DATA-TF of these PDVs. */
export function dataPdu(...pdvs: readonly Buffer[]): Buffer {
  return pdu(4, Buffer.concat(pdvs));
}

/** A whole command set in one P-DATA-TF. */
export function commandPdu(contextId: number, command: CommandSet): Buffer {
  return dataPdu(pdv(contextId, 3, encodeCommandSet(command)));
}

export function storeCommand(messageId: number, sopInstanceUid = '1.2.3'): CommandSet {
  return {
    commandField: 1,
    hasDataSet: true,
    messageId,
    priority: 0,
    affectedSopClassUid: allContexts[1]?.sopClassUid,
    affectedSopInstanceUid: sopInstanceUid,
  };
}

export function echoCommand(messageId: number): CommandSet {
  return {
    commandField: 0x30,
    hasDataSet: false,
    messageId,
    affectedSopClassUid: allContexts[0]?.sopClassUid,
  };
}

export function findCommand(messageId: number): CommandSet {
  return {
    commandField: 0x20,
    hasDataSet: true,
    messageId,
    priority: 0,
    affectedSopClassUid: allContexts[2]?.sopClassUid,
  };
}

export function cancelCommand(messageIdBeingRespondedTo: number): CommandSet {
  return { commandField: 0x0fff, hasDataSet: false, messageIdBeingRespondedTo };
}
