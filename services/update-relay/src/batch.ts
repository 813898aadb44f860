import type { EventEnvelope, ObjectManifest, RegisterMap } from '@isthmus/domain';
import { isMalformed, parseEvent, parseManifest, parseRegisters, uidPattern } from '@isthmus/domain';

/**
 * One thing that a linked update carries. Kinds may grow: a receiver that meets one it does not know refuses
 * the format.
 */
export type BatchItem =
  /**
   * An event as it stands in the sender's log, `path` extended by the sender. `StateMerged` counts as a
   * state.
   */
  | { readonly kind: 'event'; readonly event: EventEnvelope }
  /** Whole state of a study, with the patients of its component. */
  | {
      readonly kind: 'state';
      readonly study: string;
      readonly registers: RegisterMap;
      readonly patients: { readonly [patientKey: string]: RegisterMap };
      readonly path: readonly string[];
    }
  /**
   * Objects of a study: all of them or a part; receivers keep the union. Travels before what it belongs to.
   */
  | { readonly kind: 'manifest'; readonly manifest: ObjectManifest };

/** What one C-STORE of the class Isthmus Linked Update Storage carries. */
export interface Batch {
  readonly format: number;
  /** Cluster id. */
  readonly sender: string;
  /** Of the sender's log. */
  readonly incarnation: string;
  /** Positions in the sender's log, for people: the receiver keeps none. */
  readonly after: number;
  readonly upto: number;
  readonly items: readonly BatchItem[];
}

/** The highest format that we write and read. */
export const batchFormat = 1;

export const batchLimits = {
  /** Plain JSON up to here, so that `dcmdump` shows it; deflated above. */
  plainBytesMax: 64 * 1024,
  /** The whole encoded data set: what fits through NATS beside its envelope. */
  wireBytesMax: 480 * 1024,
  /** What a payload may inflate to. */
  inflatedBytesMax: 16 * 1024 * 1024,
  /** Objects in one manifest item; larger manifests travel in parts. */
  manifestObjectsMax: 10_000,
} as const;

export type ParsedBatch = { readonly batch: Batch } | { readonly malformed: string };

/**
 * Reads the JSON of a batch. Checks every item; never throws. The reason names places and rules, never
 * values.
 */
export function parseBatch(text: string): ParsedBatch {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { malformed: 'the payload is not JSON' };
  }
  if (!isRecord(json)) return { malformed: 'the payload is not an object' };
  const { format, sender, incarnation, after, upto, items } = json;
  if (format !== batchFormat) return { malformed: 'the payload is of another format than its header says' };
  if (typeof sender !== 'string' || typeof incarnation !== 'string')
    return { malformed: 'no sender or incarnation' };
  if (!Number.isSafeInteger(after) || !Number.isSafeInteger(upto))
    return { malformed: 'after or upto is no position' };
  if (!Array.isArray(items)) return { malformed: 'items is not a list' };
  const parsed: BatchItem[] = [];
  for (const [index, item] of items.entries()) {
    const read = parseItem(item);
    if (isMalformed(read)) return { malformed: `items/${index}${read.pointer}: ${read.malformed}` };
    parsed.push(read);
  }
  return {
    batch: { format, sender, incarnation, after: after as number, upto: upto as number, items: parsed },
  };
}

type ItemRead = BatchItem | { readonly malformed: string; readonly pointer: string };

function parseItem(item: unknown): ItemRead {
  if (!isRecord(item)) return { malformed: 'not an object', pointer: '' };
  switch (item['kind']) {
    case 'event': {
      const event = parseEvent(item['event']);
      return isMalformed(event) ? event : { kind: 'event', event };
    }
    case 'manifest': {
      const manifest = parseManifest(item['manifest']);
      return isMalformed(manifest) ? manifest : { kind: 'manifest', manifest };
    }
    case 'state':
      return parseState(item);
    default:
      return { malformed: 'a kind that this version does not know', pointer: '/kind' };
  }
}

function parseState(item: Record<string, unknown>): ItemRead {
  const { study, path, patients } = item;
  if (typeof study !== 'string' || !uidPattern.test(study))
    return { malformed: 'not a UID', pointer: '/study' };
  const listed = Array.isArray(path) && path.length <= 256 && path.every((name) => typeof name === 'string');
  if (!listed) return { malformed: 'not a list of clusters', pointer: '/path' };
  const registers = parseRegisters(item['registers']);
  if (isMalformed(registers)) return registers;
  if (!isRecord(patients)) return { malformed: 'not an object', pointer: '/patients' };
  const states: [string, RegisterMap][] = [];
  for (const [key, value] of Object.entries(patients)) {
    const state = parseRegisters(value);
    if (isMalformed(state)) return { ...state, pointer: `/patients${state.pointer}` };
    if (key.length > 512 || key === '__proto__')
      return { malformed: 'not a patient key', pointer: '/patients' };
    states.push([key, state.registers]);
  }
  return {
    kind: 'state',
    study,
    registers: registers.registers,
    patients: Object.fromEntries(states),
    path: path as string[],
  };
}

/** Cuts a manifest into parts that name at most `objectsMax` objects each; receivers keep the union. */
export function manifestParts(
  manifest: ObjectManifest,
  objectsMax: number = batchLimits.manifestObjectsMax,
): ObjectManifest[] {
  type Series = ObjectManifest['series'][number];
  const parts: ObjectManifest[] = [];
  let series: Series[] = [];
  let room = objectsMax;
  const close = (): void => {
    if (series.length > 0) parts.push({ studyInstanceUid: manifest.studyInstanceUid, series });
    series = [];
    room = objectsMax;
  };
  for (const one of manifest.series) {
    for (let from = 0; from < one.instances.length;) {
      const instances = one.instances.slice(from, from + room);
      series.push({ ...one, instances });
      from += instances.length;
      room -= instances.length;
      if (room === 0) close();
    }
  }
  close();
  return parts;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
