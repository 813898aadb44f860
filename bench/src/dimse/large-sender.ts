import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { uids } from '@isthmus/dicom';
import { dataPdu, pdu, storeCommand } from '@isthmus/testing';
import { ctDataSet } from './objects.ts';

const fragmentBytes = 64 * 1024;
const blockBytes = 1024 * 1024;
/** PS3.8 Annex E.2, control header: data set, and last fragment of it. */
const dataFragment = 0;
const lastDataFragment = 2;
const wholeCommand = 3;
const associateAc = 2;
const answerMs = 120_000;

/**
 * Sends one CT object whose pixels are made while they leave, so that the sender never holds them: one association, one
 * C-STORE. @returns SHA-256 of the data set, lower hex. @throws {Error} The peer refused.
 */
export async function sendLargeObject(
  to: { readonly port: number; readonly aeTitle: string },
  object: { readonly sopInstanceUid: string; readonly pixelBytes: number },
): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: to.port, noDelay: true });
  try {
    await once(socket, 'connect');
    socket.write(associateRequest(to.aeTitle));
    if ((await answerOf(socket))[0] !== associateAc) throw new Error(`${to.aeTitle} refused the association`);
    socket.write(dataPdu(wholeCommand, storeCommand(uids.CTImageStorage, object.sopInstanceUid, 1)));
    const hash = createHash('sha256');
    await writeFragment(socket, dataFragment, headOf(object.sopInstanceUid, object.pixelBytes), hash);
    const block = randomBytes(blockBytes);
    for (let sent = 0; sent < object.pixelBytes;) {
      // Every block differs, so that one that is lost or doubled is noticed.
      block.writeDoubleLE(sent, sent % (blockBytes - 8));
      const length = Math.min(blockBytes, object.pixelBytes - sent);
      for (let at = 0; at < length; at += fragmentBytes) {
        const end = Math.min(length, at + fragmentBytes);
        const isLast = sent + end === object.pixelBytes;
        const control = isLast ? lastDataFragment : dataFragment;
        await writeFragment(socket, control, block.subarray(at, end), hash);
      }
      sent += length;
    }
    const status = statusOf(await answerOf(socket));
    if (status !== 0) throw new Error(`C-STORE of ${object.pixelBytes} bytes: status ${status.toString(16)}`);
    socket.write(pdu(5, Buffer.alloc(4)));
    await answerOf(socket);
    return hash.digest('hex');
  } finally {
    socket.destroy();
  }
}

/** Waits when the peer is slower than we are: nothing heaps up here. */
async function writeFragment(
  socket: Socket,
  control: number,
  bytes: Buffer,
  hash: { update(bytes: Buffer): unknown },
): Promise<void> {
  hash.update(bytes);
  if (!socket.write(dataPdu(control, bytes))) await once(socket, 'drain');
}

/** Everything up to the pixels, their element header with the true length included. */
function headOf(sopInstanceUid: string, pixelBytes: number): Buffer {
  const small = ctDataSet(sopInstanceUid, 2);
  const head = Buffer.from(small.subarray(0, small.length - 2));
  head.writeUInt32LE(pixelBytes, head.length - 4);
  return head;
}

async function answerOf(socket: Socket): Promise<Buffer> {
  const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(answerMs) })) as [Buffer];
  return answer;
}

/** Status (0000,0900) of a C-STORE-RSP in one PDU: implicit little endian, length 2. */
function statusOf(answer: Buffer): number {
  const at = answer.indexOf(Buffer.from([0x00, 0x00, 0x00, 0x09, 0x02, 0x00, 0x00, 0x00]));
  if (answer[0] !== 4 || at < 0) throw new Error(`no C-STORE-RSP but PDU type ${answer[0]}`);
  return answer.readUInt16LE(at + 8);
}

function associateRequest(calledAeTitle: string): Buffer {
  const title = (text: string): Buffer => Buffer.from(text.padEnd(16), 'latin1');
  const context = item(
    0x20,
    Buffer.from([1, 0, 0, 0]),
    item(0x30, Buffer.from(uids.CTImageStorage)),
    item(0x40, Buffer.from(uids.ExplicitVrLittleEndian)),
  );
  const user = item(0x50, item(0x51, Buffer.from([0, 0, 0x40, 0])), item(0x52, Buffer.from('1.2.3.4.5.6')));
  const head = [Buffer.from([0, 1, 0, 0]), title(calledAeTitle), title('LARGESCU'), Buffer.alloc(32)];
  return pdu(1, Buffer.concat([...head, item(0x10, Buffer.from('1.2.840.10008.3.1.1.1')), context, user]));
}

/** An item of A-ASSOCIATE-RQ (PS3.8 9.3.2). */
function item(type: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const head = Buffer.from([type, 0, 0, 0]);
  head.writeUInt16BE(body.length, 2);
  return Buffer.concat([head, body]);
}
