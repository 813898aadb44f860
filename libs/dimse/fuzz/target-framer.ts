import { ProtocolError } from '../src/errors.ts';
import { PduFramer } from '../src/framer.ts';
import type { FramerState, PduReceiver } from '../src/framer.ts';
import { encodeAbort, encodeAssociateAccept, encodeReleaseRequest, pduType } from '../src/pdu.ts';
import { chunkings } from './pieces.ts';
import { associateRequests, commandSets } from './seeds.ts';
import { Failure, magnitude, promised, words } from './target.ts';
import type { Target } from './target.ts';

const states: readonly FramerState[] = ['awaiting-request', 'awaiting-answer', 'established', 'releasing'];
const limits = [
  { pduBytesMax: 16_384, associatePduBytesMax: 65_536 },
  { pduBytesMax: 64, associatePduBytesMax: 200 },
] as const;

/**
 * PduFramer. The first byte of the input says where the association stands and how narrow the limits are; the rest is
 * the stream. Whatever pieces it comes in, and wherever the receiver holds it up, the receiver must be told the same.
 */
export const framerTarget: Target = {
  name: 'framer',
  seeds: framerSeeds(),
  dictionary: [
    ...[1, 2, 3, 4, 5, 6, 7, 0, 8].map((type) => Buffer.from([type, 0, 0, 0, 0, 4])),
    Buffer.from('040000000006', 'hex'),
    Buffer.from('040000000008000000040103', 'hex'),
    Buffer.from('0000000201030000000201020000000201000000000203ff', 'hex'),
    Buffer.from('0500000000040000000006000000000400000000', 'hex'),
    Buffer.from('04000000000a00000002010000000002', 'hex'),
    Buffer.from('0400fffffff0', 'hex'),
  ],
  run(input) {
    const head = input[0] ?? 0;
    const stream = input.subarray(1);
    const whole = told(head, [stream], false);
    for (const [index, pieces] of chunkings(stream).entries()) {
      compare(whole, told(head, pieces, index === 1), index === 1 ? 'in pieces and held up' : 'in pieces');
    }
    return whole.word;
  },
};

interface Told {
  readonly trace: string;
  readonly word: string;
}

function compare(whole: Told, other: Told, how: string): void {
  if (whole.trace === other.trace) return;
  throw new Failure(
    'chunking',
    `${how}: ${JSON.stringify(other.trace)}, whole: ${JSON.stringify(whole.trace)}`,
  );
}

/** What the receiver was told, to the end or to the error. */
function told(head: number, pieces: readonly Buffer[], holding: boolean): Told {
  const state = states[head & 3] as FramerState;
  const receiver = new Recorder(holding);
  const framer = new PduFramer(receiver, { state, ...limits[(head >> 2) & 1]! });
  receiver.framer = framer;
  const outcome = promised(ProtocolError, () => {
    for (const [index, piece] of pieces.entries()) {
      framer.push(piece);
      // Every other piece comes while the framer is held.
      if (index % 2 === 1) while (framer.isHeld) framer.release();
    }
    while (framer.isHeld) framer.release();
  });
  const refused = 'refused' in outcome ? outcome.refused : '';
  const inside = 'refused' in outcome ? '' : `inside ${String(framer.insidePdu)}`;
  const trace = `${receiver.trace}|${refused}|${framer.state}|${inside}`;
  return {
    trace,
    word: `${state} ${words(refused)} ${framer.state} ${magnitude(receiver.pdus)} ${receiver.kinds}`,
  };
}

/** Plays the part of the association: its state follows the PDUs. */
class Recorder implements PduReceiver {
  framer: PduFramer | undefined;
  trace = '';
  pdus = 0;
  /** Types of the first PDUs. */
  kinds = '';
  readonly #holding: boolean;

  constructor(holding: boolean) {
    this.#holding = holding;
  }

  pdu(type: number, body: Buffer): void {
    this.trace += `<pdu ${type} ${body.toString('latin1')}>`;
    this.#count(String(type));
    const opens = type === pduType.associateRq || type === pduType.associateAc;
    this.framer!.state = opens ? 'established' : 'ended';
    if (this.#holding) this.framer!.hold();
  }

  pdvStart(contextId: number, isCommand: boolean, isLast: boolean, length: number): void {
    this.trace += `<pdv ${contextId} ${String(isCommand)} ${String(isLast)} ${length} `;
    if (contextId === 0) throw new ProtocolError(6, 'context 0 is not accepted');
  }

  pdvData(slice: Buffer): void {
    if (slice.length === 0) throw new Failure('disagreement', 'an empty slice was given');
    this.trace += slice.toString('latin1');
  }

  pdvEnd(): void {
    this.trace += '>';
    if (this.#holding) this.framer!.hold();
  }

  dataPduEnd(): void {
    this.trace += '<data end>';
    this.#count('d');
  }

  #count(kind: string): void {
    this.pdus += 1;
    if (this.kinds.length < 4) this.kinds += kind;
  }
}

function framerSeeds(): Buffer[] {
  const release = encodeReleaseRequest();
  const abort = encodeAbort(0, 0);
  const pdv = (control: number, data: Buffer): Buffer => {
    const header = Buffer.from([0, 0, 0, 0, 1, control]);
    header.writeUInt32BE(data.length + 2);
    return Buffer.concat([header, data]);
  };
  const data = (...pdvs: readonly Buffer[]): Buffer => {
    const body = Buffer.concat(pdvs);
    const header = Buffer.from([4, 0, 0, 0, 0, 0]);
    header.writeUInt32BE(body.length, 2);
    return Buffer.concat([header, body]);
  };
  const rows = Buffer.alloc(300, 'pixels ');
  const inside = (...pdus: readonly Buffer[]): Buffer => Buffer.concat([Buffer.from([2]), ...pdus]);
  const [request, ...more] = associateRequests();
  return [
    Buffer.concat([Buffer.from([0]), request!, data(pdv(3, commandSets()[0]!)), release]),
    ...more.map((one) => Buffer.concat([Buffer.from([0]), one])),
    Buffer.concat([
      Buffer.from([1]),
      encodeAssociateAccept({
        protocolVersion: 1,
        calledAeTitle: 'NORTH',
        callingAeTitle: 'SOUTH',
        applicationContextName: '1.2.840.10008.3.1.1.1',
        contexts: [
          { id: 1, result: 0, transferSyntaxUid: '1.2.840.10008.1.2' },
          { id: 3, result: 3 },
        ],
        user: { maxPduBytes: 16_384 },
      }),
      data(pdv(3, commandSets()[1]!)),
      abort,
    ]),
    inside(
      data(pdv(3, commandSets()[0]!), pdv(0, rows)),
      data(pdv(0, rows), pdv(2, Buffer.alloc(0))),
      release,
    ),
    inside(...commandSets().map((command) => data(pdv(3, command))), abort),
    Buffer.concat([Buffer.from([3]), data(pdv(2, rows)), Buffer.from('06000000000400000000', 'hex')]),
  ];
}
