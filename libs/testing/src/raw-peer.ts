import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

/**
 * A DICOM requestor that writes bytes to a socket and shares no code with `libs/dimse`: what it sends is what the test
 * says, right or wrong. One presentation context per association, id 1.
 */
export interface RawAssociation extends RawConnection {
  readonly accepted: boolean;
  /** Sends one C-STORE whole and answers with the status of the response. */
  store(object: { sopClassUid: string; sopInstanceUid: string; dataSet: Buffer }): Promise<number>;
  release(): Promise<void>;
}

/** A connection on which nothing has been said yet. */
export interface RawConnection {
  /** Writes bytes as they are. */
  write(bytes: Buffer): void;
  /** Resolves with the next PDU, type byte first; undefined when the peer closed the connection. */
  nextPdu(): Promise<Buffer | undefined>;
  /** Ends the connection without a word: FIN. */
  destroy(): void;
  /** Ends it with RST, as a crashed peer's system does. */
  reset(): void;
}

export interface RawAssociationOptions {
  readonly port: number;
  /** Which of this machine's addresses the connection comes from; any of 127.0.0.0/8 (Linux). @default 127.0.0.1 */
  readonly localAddress?: string;
  readonly calledAeTitle: string;
  readonly callingAeTitle?: string;
  readonly abstractSyntax: string;
  readonly transferSyntax: string;
}

const applicationContext = '1.2.840.10008.3.1.1.1';
const pdvBytesMax = 16_000;

/** Opens a connection and says nothing. @param localAddress - See `RawAssociationOptions`. */
export async function openRawConnection(
  port: number,
  localAddress: string = '127.0.0.1',
): Promise<RawConnection> {
  const socket = connect({ host: '127.0.0.1', port, localAddress, noDelay: true });
  await once(socket, 'connect');
  return {
    nextPdu: pduReader(socket),
    write: (bytes) => void socket.write(bytes),
    destroy: () => void socket.destroy(),
    reset: () => void socket.resetAndDestroy(),
  };
}

/** Opens a connection and sends an A-ASSOCIATE-RQ (PS3.8 §9.3.2). */
export async function openRawAssociation(options: RawAssociationOptions): Promise<RawAssociation> {
  const connection = await openRawConnection(options.port, options.localAddress);
  const { nextPdu, write, destroy } = connection;
  write(associateRequest(options));
  const answer = await nextPdu();
  let messageId = 0;
  return {
    ...connection,
    accepted: answer?.[0] === 2,
    async store({ sopClassUid, sopInstanceUid, dataSet }) {
      messageId += 1;
      write(storeMessage(sopClassUid, sopInstanceUid, messageId, dataSet));
      const response = await nextPdu();
      if (response?.[0] !== 4)
        throw new Error(`no C-STORE-RSP but PDU type ${response?.[0] ?? 'none: closed'}`);
      return statusOf(response);
    },
    async release() {
      write(pdu(5, Buffer.alloc(4)));
      await nextPdu();
      destroy();
    },
  };
}

/** One PDU: type, reserved byte, length (big endian), body. */
export function pdu(type: number, body: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head[0] = type;
  head.writeUInt32BE(body.length, 2);
  return Buffer.concat([head, body]);
}

/** One P-DATA-TF with one PDV. `control`: bit 0 command, bit 1 last (PS3.8 Annex E.2). */
export function dataPdu(control: number, body: Buffer): Buffer {
  const head = Buffer.alloc(6);
  head.writeUInt32BE(body.length + 2, 0);
  head[4] = 1;
  head[5] = control;
  return pdu(4, Buffer.concat([head, body]));
}

/** The command set of a C-STORE-RQ (PS3.7 §9.3.1.1); leave out `sopInstanceUid` to send a wrong one. */
export function storeCommand(
  sopClassUid: string,
  sopInstanceUid: string | undefined,
  messageId: number,
): Buffer {
  const command = { 0x0002: sopClassUid, 0x0100: 0x0001, 0x0110: messageId, 0x0700: 0, 0x0800: 0x0001 };
  return commandSet(sopInstanceUid === undefined ? command : { ...command, 0x1000: sopInstanceUid });
}

/** A command set with its group length (PS3.7 Annex E): element number to UID or 16-bit number, in ascending order. */
export function commandSet(elements: { readonly [element: number]: string | number }): Buffer {
  const body = Buffer.concat(
    Object.entries(elements).map(([element, value]) =>
      typeof value === 'string' ? uidElement(Number(element), value) : shortElement(Number(element), value),
    ),
  );
  const length = Buffer.alloc(12);
  length.writeUInt32LE(4, 4);
  length.writeUInt32LE(body.length, 8);
  return Buffer.concat([length, body]);
}

function storeMessage(
  sopClassUid: string,
  sopInstanceUid: string,
  messageId: number,
  dataSet: Buffer,
): Buffer {
  const parts = [dataPdu(3, storeCommand(sopClassUid, sopInstanceUid, messageId))];
  for (let offset = 0; offset < dataSet.length || offset === 0; offset += pdvBytesMax) {
    const last = offset + pdvBytesMax >= dataSet.length;
    parts.push(dataPdu(last ? 2 : 0, dataSet.subarray(offset, offset + pdvBytesMax)));
  }
  return Buffer.concat(parts);
}

/** A whole A-ASSOCIATE-RQ; `items` are more of its items (PS3.8 §9.3.2), behind the one presentation context. */
export function associateRequest(
  options: Omit<RawAssociationOptions, 'port' | 'localAddress'>,
  ...items: readonly Buffer[]
): Buffer {
  const title = (text: string): Buffer => Buffer.from(text.padEnd(16), 'latin1');
  const context = item(
    0x20,
    Buffer.concat([
      Buffer.from([1, 0, 0, 0]),
      item(0x30, Buffer.from(options.abstractSyntax)),
      item(0x40, Buffer.from(options.transferSyntax)),
    ]),
  );
  const userInformation = item(
    0x50,
    Buffer.concat([item(0x51, Buffer.from([0, 0, 0x40, 0])), item(0x52, Buffer.from('1.2.3.4.5.6'))]),
  );
  return pdu(
    1,
    Buffer.concat([
      Buffer.from([0, 1, 0, 0]),
      title(options.calledAeTitle),
      title(options.callingAeTitle ?? 'RAWPEER'),
      Buffer.alloc(32),
      item(0x10, Buffer.from(applicationContext)),
      context,
      ...items,
      userInformation,
    ]),
  );
}

/** One item or sub-item: type, reserved byte, length (big endian), value. */
export function item(type: number, body: Buffer): Buffer {
  const head = Buffer.from([type, 0, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}

function uidElement(element: number, uid: string): Buffer {
  const value = Buffer.from(uid.length % 2 === 0 ? uid : `${uid}\0`, 'latin1');
  const head = Buffer.alloc(8);
  head.writeUInt16LE(element, 2);
  head.writeUInt32LE(value.length, 4);
  return Buffer.concat([head, value]);
}

function shortElement(element: number, value: number): Buffer {
  const bytes = Buffer.alloc(10);
  bytes.writeUInt16LE(element, 2);
  bytes.writeUInt32LE(2, 4);
  bytes.writeUInt16LE(value, 8);
  return bytes;
}

/** (0000,0900) of a response that came in one PDV. */
export function statusOf(response: Buffer): number {
  const command = response.subarray(12);
  for (let offset = 0; offset + 8 <= command.length;) {
    const length = command.readUInt32LE(offset + 4);
    if (command.readUInt16LE(offset + 2) === 0x0900) return command.readUInt16LE(offset + 8);
    offset += 8 + length;
  }
  throw new Error('the response carries no status');
}

function pduReader(socket: Socket): () => Promise<Buffer | undefined> {
  let buffered = Buffer.alloc(0);
  let closed = false;
  let wake: (() => void) | undefined;
  socket.on('data', (chunk) => {
    buffered = Buffer.concat([buffered, chunk]);
    wake?.();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
    wake?.();
  });
  return async () => {
    for (;;) {
      if (buffered.length >= 6 && buffered.length >= 6 + buffered.readUInt32BE(2)) {
        const end = 6 + buffered.readUInt32BE(2);
        const whole = buffered.subarray(0, end);
        buffered = buffered.subarray(end);
        return whole;
      }
      if (closed) return undefined;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
}
