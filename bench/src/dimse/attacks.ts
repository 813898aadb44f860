import { setTimeout as pause } from 'node:timers/promises';
import { element, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import {
  associateRequest,
  dataPdu,
  openRawAssociation,
  openRawConnection,
  pdu,
  storeCommand,
} from '@isthmus/testing';
import type { RawAssociation, RawConnection } from '@isthmus/testing';
import type { EdgeUnderTest } from './edge.ts';
import { ctDataSet, studyInstanceUid } from './objects.ts';

const abortPdu = pdu(7, Buffer.alloc(4));
const fragment = dataPdu(0, Buffer.alloc(16_000));
const lastData = 2;
/** What an attacker waits for at most: longer than any deadline of the edge that counts here. */
const endMs = 60_000;
/** Between two attempts of one peer, so that the attack does not take the processor from whom it is to disturb. */
const paceMs = 20;

/** PS3.7: what an edge answers that could not do what it was asked. */
const isFailure = (status: number): boolean => status >= 0xa700 && status < 0xff00;

/** Attackers sit at so many addresses, of which none is the healthy sender's. */
const addresses = 8;
const addressOf = (index: number): string => `127.0.1.${1 + (index % addresses)}`;

/** An accepted association of a peer that does not mean well. @throws {Error} It was refused. */
async function associate(
  edge: EdgeUnderTest,
  index: number,
  callingAeTitle = 'HOSTILE',
): Promise<RawAssociation> {
  const association = await openRawAssociation({
    port: edge.port,
    localAddress: addressOf(index),
    ...proposal(edge),
    callingAeTitle,
  });
  if (!association.accepted) throw new Error(`${callingAeTitle} was refused an association`);
  return association;
}

/** Half end by A-ABORT and half by RST, each with some 320 KB of an object sent, so that a part of it is on the disk. */
export async function abortsInMidObject(edge: EdgeUnderTest, count: number): Promise<string> {
  const part = Buffer.concat([
    dataPdu(3, storeCommand(uids.CTImageStorage, '1.2.3.9', 1)),
    ...Array.from({ length: 20 }, () => fragment),
  ]);
  await inParallel(count, 8, async (index) => {
    const peer = await associate(edge, index);
    peer.write(part);
    await pause(paceMs);
    if (index % 2 === 0) {
      peer.write(abortPdu);
      await endOf(peer);
      peer.destroy();
    } else peer.reset();
  });
  return `${count} associations ended in mid-object, A-ABORT and RST in turn`;
}

/** Connections that say nothing, or half of an A-ASSOCIATE-RQ, until the edge ends them. */
export async function halfOpen(edge: EdgeUnderTest, count: number): Promise<string> {
  const request = associateRequest({ ...proposal(edge), callingAeTitle: 'HALFOPEN' });
  const from = performance.now();
  const peers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const peer = await openRawConnection(edge.port, addressOf(index));
      if (index % 2 === 1) peer.write(request.subarray(0, request.length / 2));
      return peer;
    }),
  );
  await Promise.all(peers.map((peer) => endOf(peer).then(() => peer.destroy())));
  return `${count} half-open connections, the last ended by the edge after ${since(from)} s`;
}

/**
 * Half of them send 2 KB/s, which is slow but legal: their objects are stored in the end. The others send 100 bytes/s
 * and are cut off. @throws {Error} It was the other way round for one of them.
 */
export async function slowPeers(edge: EdgeUnderTest, count: number, seconds: number): Promise<string> {
  const from = performance.now();
  const outcomes = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      index % 2 === 0 ? trickle(edge, index, 2_000, seconds) : trickle(edge, index, 100, seconds),
    ),
  );
  const stored = outcomes.filter((outcome) => outcome === 'stored').length;
  const cutOff = outcomes.filter((outcome) => outcome === 'cut off').length;
  if (stored !== Math.ceil(count / 2) || stored + cutOff !== count) {
    throw new Error(`of ${count} slow peers ${stored} were served and ${cutOff} cut off`);
  }
  return `${stored} at 2 KB/s were stored, ${cutOff} at 100 bytes/s were cut off, ${since(from)} s`;
}

async function trickle(
  edge: EdgeUnderTest,
  index: number,
  bytesPerSecond: number,
  seconds: number,
): Promise<'stored' | 'cut off'> {
  const sopInstanceUid = `${studyInstanceUid}.8.${process.pid}.${Math.trunc(performance.now())}.${index}`;
  const dataSet = ctDataSet(sopInstanceUid, 2_000 * seconds);
  const peer = await associate(edge, index, `SLOW${index}`);
  peer.write(dataPdu(3, storeCommand(uids.CTImageStorage, sopInstanceUid, 1)));
  const from = performance.now();
  let at = 0;
  const drip = setInterval(() => {
    const bytes = dataSet.subarray(at, (at += bytesPerSecond));
    peer.write(dataPdu(0, bytes));
    if (performance.now() < from + seconds * 1_000 || bytesPerSecond < 512) return;
    clearInterval(drip);
    peer.write(dataPdu(lastData, dataSet.subarray(at)));
  }, 1_000);
  try {
    const answer = await nextPdu(peer);
    return answer?.[0] === 4 && answer.includes(successStatus) ? 'stored' : 'cut off';
  } finally {
    clearInterval(drip);
    peer.destroy();
  }
}

/** (0000,0900) with 0000, Implicit VR Little Endian. */
const successStatus = Buffer.from('00000009020000000000', 'hex');

/** Sends objects to an edge that has no room. @returns How many it took, and how many it put off with A700. */
export async function storesWithoutRoom(
  edge: EdgeUnderTest,
  count: number,
): Promise<{ stored: number; putOff: number }> {
  let stored = 0;
  let putOff = 0;
  const senders = 4;
  await inParallel(senders, senders, async (sender) => {
    const association = await associate(edge, sender, `FULL${sender}`);
    for (let index = sender; index < count; index += senders) {
      const sopInstanceUid = `${studyInstanceUid}.6.${index + 1}`;
      const dataSet = ctDataSet(sopInstanceUid, 64 * 1024);
      const status = await association.store({
        sopClassUid: uids.CTImageStorage,
        sopInstanceUid,
        dataSet,
      });
      if (status === 0) stored += 1;
      else if (status === 0xa700) putOff += 1;
      else throw new Error(`an object without room was answered with ${status.toString(16)}`);
    }
    await association.release();
  });
  return { stored, putOff };
}

/** What a query service must never answer. A function throws instead. */
const garbage: readonly unknown[] = [
  null,
  {},
  42,
  'rows',
  [],
  { row: null },
  { row: 7 },
  { row: { nonsense: true } },
  { row: { '0020000D': { vr: 'XX', Value: [{}] } } },
  { instances: 'all' },
  { instances: [{ sopInstanceUid: 4 }] },
  { studies: null },
  { done: null },
  { done: { outcomes: 'none' } },
  { status: 'good' },
];

/** Has to be configured as a station of kind `cluster`; only those may send linked updates. */
export const linkedPeer = 'GARBAGE';

/** Puts a service in front of the edge's requests that answers garbage, throws, or ends without a word. */
export function scriptGarbage(edge: EdgeUnderTest): () => Promise<void> {
  let asked = 0;
  const next = (): number => (asked += 1);
  const stops = [requestSubjects.find, requestSubjects.locate].map((subject) =>
    edge.eventLog.requests.answerStream<unknown, unknown>(subject, async function* () {
      const turn = next() % (garbage.length + 2);
      if (turn === garbage.length) throw new Error('the scripted service fails');
      if (turn < garbage.length) yield garbage[turn];
    }),
  );
  const updates = edge.eventLog.requests.answer<unknown, unknown>(requestSubjects.linkedUpdate, async () => {
    const turn = next() % (garbage.length + 1);
    if (turn === garbage.length) throw new Error('the scripted service fails');
    return garbage[turn];
  });
  return async () => void (await Promise.all([...stops, updates].map((stop) => stop())));
}

/**
 * C-FIND, C-MOVE and C-STORE of linked updates, in turn, whose answers come from `scriptGarbage`; every association goes
 * on after each of them. @throws {Error} One was not answered, or not as a request that could not be done.
 */
export async function requestsForGarbage(edge: EdgeUnderTest, count: number): Promise<string> {
  const told = new Map<string, number>();
  const peers = 4;
  await inParallel(peers, peers, async (peer) => {
    const station = await request(edge, 'ASKING', [uids.StudyRootFind, uids.StudyRootMove]);
    const linked = await request(edge, linkedPeer, [uids.IsthmusLinkedUpdateStorage]);
    for (let index = peer; index < count; index += peers) {
      await pause(paceMs);
      const identifier = {
        [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
        [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
      };
      const kind = (['find', 'move', 'update'] as const)[Math.floor(index / peers) % 3]!;
      const status = await statusOfRequest(kind === 'update' ? linked : station, kind, identifier);
      const name = `${kind} ${status.toString(16).padStart(4, '0').toUpperCase()}`;
      told.set(name, (told.get(name) ?? 0) + 1);
    }
    await Promise.all([station.release(), linked.release()]);
  });
  const shown = [...told].sort().map(([name, times]) => `${name} × ${times}`);
  return `${count} requests answered with garbage or not at all: ${shown.join(', ')}`;
}

function request(
  edge: EdgeUnderTest,
  callingAeTitle: string,
  sopClassUids: readonly string[],
): Promise<RequestedAssociation> {
  return requestAssociation({
    host: '127.0.0.1',
    port: edge.port,
    calledAeTitle: edge.aeTitle,
    callingAeTitle,
    contexts: sopClassUids.map((sopClassUid) => ({
      sopClassUid,
      transferSyntaxUids: [uids.ExplicitVrLittleEndian],
    })),
  });
}

async function statusOfRequest(
  association: RequestedAssociation,
  kind: 'find' | 'move' | 'update',
  identifier: Record<string, ReturnType<typeof element>>,
): Promise<number> {
  if (kind === 'find') {
    const rows = association.cFind({ sopClassUid: uids.StudyRootFind, identifier });
    for await (const row of rows) void row;
    return (await rows.final).status;
  }
  if (kind === 'move') {
    const moved = await association.cMove({
      sopClassUid: uids.StudyRootMove,
      destinationAeTitle: linkedPeer,
      identifier,
    });
    if (!isFailure(moved.status)) throw new Error(`C-MOVE out of garbage: ${moved.status.toString(16)}`);
    return moved.status;
  }
  const stored = await association.cStore({
    sopClassUid: uids.IsthmusLinkedUpdateStorage,
    sopInstanceUid: '1.2.3.4',
    transferSyntaxUid: uids.ExplicitVrLittleEndian,
    dataSet: Buffer.from('0800180055490800312e322e332e3400', 'hex'),
  });
  if (!isFailure(stored.status))
    throw new Error(`a linked update that nobody took: ${stored.status.toString(16)}`);
  return stored.status;
}

function proposal(edge: EdgeUnderTest) {
  return {
    calledAeTitle: edge.aeTitle,
    abstractSyntax: uids.CTImageStorage,
    transferSyntax: uids.ExplicitVrLittleEndian,
  } as const;
}

/** Runs `work` for 0 … count − 1, `width` at a time. */
async function inParallel(
  count: number,
  width: number,
  work: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, count) }, async () => {
      while (next < count) await work(next++);
    }),
  );
}

/** The edge has closed the connection. @throws {Error} It did not in time. */
async function endOf(connection: RawConnection): Promise<void> {
  while ((await nextPdu(connection)) !== undefined);
}

async function nextPdu(connection: RawConnection): Promise<Buffer | undefined> {
  const late = new AbortController();
  const tooLate = pause(endMs, undefined, { signal: late.signal }).then(() => {
    throw new Error(`the edge neither answered nor closed a connection within ${endMs / 1_000} s`);
  });
  tooLate.catch(() => undefined);
  try {
    return await Promise.race([connection.nextPdu(), tooLate]);
  } finally {
    late.abort();
  }
}

function since(from: number): string {
  return ((performance.now() - from) / 1_000).toFixed(1);
}
