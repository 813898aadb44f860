import { uidPattern } from '@isthmus/dicom';
import type { ObjectManifest, ChangeEvent } from './events.ts';
import { isStamp } from './hlc.ts';
import type { RegisterMap } from './registers.ts';

/** Something from a peer that is not what it claims to be. To be parked and shown, never merged. */
export interface Malformed {
  /** Which rule it broke, without any of its text (it may be patient data). */
  readonly malformed: string;
  /** JSON pointer of the place. */
  readonly pointer: string;
}

export function isMalformed(value: object): value is Malformed {
  return 'malformed' in value;
}

/** Bounds on what a peer may send; generous to later versions, tight enough that merging stays cheap. */
export const incomingLimits = {
  /** Nesting of objects and arrays. */
  depthMax: 24,
  /** Values in one event or state, all levels together. */
  nodesMax: 200_000,
  idCharactersMax: 128,
  textCharactersMax: 1_048_576,
  pathMax: 256,
} as const;

const clusterPattern = /^[a-z][a-z0-9-]{0,31}$/;
const typePattern = /^[A-Za-z][A-Za-z0-9.]{0,63}$/;
const forbiddenKeys = new Set(['__proto__', 'constructor', 'prototype']);

class Refused extends Error {
  readonly pointer: string;
  constructor(rule: string, pointer: string) {
    super(rule);
    this.pointer = pointer;
  }
}

/**
 * Reads an event that a peer sent. Unknown types, versions and extra fields are fine and kept; what would
 * break a merge (wrong shape, no stamp, absurd depth or size, names of prototypes, numbers that are not
 * finite) is refused.
 *
 * @param json - What `JSON.parse` gave. The answer is the same object, not a copy. Never throws.
 */
export function parseEvent(json: unknown): ChangeEvent | Malformed {
  return guarded(() => {
    checkPlain(json);
    const event = record(json, '');
    text(event, 'id', incomingLimits.idCharactersMax, /^[\x21-\x7e]+$/);
    text(event, 'type', 64, typePattern);
    text(event, 'source', 128);
    text(event, 'subject', 512);
    text(event, 'time', 64);
    if (Number.isNaN(Date.parse(event['time'] as string))) throw new Refused('not a time', '/time');
    text(event, 'origin', 32, clusterPattern);
    stamp(event, 'hlc', '');
    const { path, basis, v } = event;
    if (!Array.isArray(path) || path.length > incomingLimits.pathMax)
      throw new Refused('not a list of clusters', '/path');
    for (const [index, cluster] of path.entries())
      if (typeof cluster !== 'string' || !clusterPattern.test(cluster))
        throw new Refused('not a cluster id', `/path/${index}`);
    if (basis !== undefined) stamp(event, 'basis', '');
    for (const name of ['correlationid', 'causationid', 'traceparent'])
      if (event[name] !== undefined) text(event, name, 256);
    if (!Number.isSafeInteger(v) || (v as number) < 0) throw new Refused('not a version', '/v');
    const data = record(event['data'], '/data');
    const { aggregate } = data;
    if (aggregate !== 'study' && aggregate !== 'patient')
      throw new Refused('not an aggregate', '/data/aggregate');
    if (aggregate === 'study' && !uidPattern.test(event['subject'] as string))
      throw new Refused('not a UID', '/subject');
    checkRegisters(data['registers'], '/data/registers');
    if (data['by'] !== undefined) text(data, 'by', 256, undefined, '/data');
    if (data['intent'] !== undefined) record(data['intent'], '/data/intent');
    return json as ChangeEvent;
  });
}

/** Reads a state (registers by name) that a peer sent. Never throws. */
export function parseRegisters(json: unknown): { readonly registers: RegisterMap } | Malformed {
  return guarded(() => {
    checkPlain(json);
    checkRegisters(json, '');
    return { registers: json as RegisterMap };
  });
}

/** Reads an object manifest that a peer sent. Never throws. */
export function parseManifest(json: unknown): ObjectManifest | Malformed {
  return guarded(() => {
    checkPlain(json);
    const manifest = record(json, '');
    text(manifest, 'studyInstanceUid', 64, uidPattern);
    list(manifest['series'], '/series').forEach((item, index) => {
      const at = `/series/${index}`;
      const series = record(item, at);
      text(series, 'seriesInstanceUid', 64, uidPattern, at);
      if (typeof series['modality'] !== 'string') throw new Refused('not a text', `${at}/modality`);
      list(series['instances'], `${at}/instances`).forEach((pair, place) => {
        const wellFormed =
          Array.isArray(pair) &&
          pair.length === 2 &&
          pair.every((uid) => typeof uid === 'string' && uidPattern.test(uid));
        if (!wellFormed) throw new Refused('not a pair of UIDs', `${at}/instances/${place}`);
      });
    });
    return json as ObjectManifest;
  });
}

function guarded<Value>(read: () => Value): Value | Malformed {
  try {
    return read();
  } catch (error) {
    if (error instanceof Refused) return { malformed: error.message, pointer: error.pointer };
    throw error;
  }
}

type Plain = { readonly [key: string]: unknown };

function record(value: unknown, pointer: string): Plain {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refused('not an object', pointer);
  return value as Plain;
}

function list(value: unknown, pointer: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Refused('not a list', pointer);
  return value;
}

function text(from: Plain, name: string, charactersMax: number, pattern?: RegExp, pointer = ''): void {
  const value = from[name];
  const fits =
    typeof value === 'string' &&
    value.length > 0 &&
    value.length <= charactersMax &&
    (pattern?.test(value) ?? true);
  if (!fits) throw new Refused('missing, too long or of the wrong form', `${pointer}/${name}`);
}

function stamp(from: Plain, name: string, pointer: string): void {
  if (!isStamp(from[name])) throw new Refused('not a stamp', `${pointer}/${name}`);
}

function checkRegisters(value: unknown, pointer: string): void {
  for (const [name, register] of Object.entries(record(value, pointer)))
    checkRegister(register, `${pointer}/${escapePointer(name)}`);
}

/** Known types must be well formed; a type that we do not know only needs its name. */
function checkRegister(value: unknown, pointer: string): void {
  const register = record(value, pointer);
  const { t } = register;
  if (typeof t !== 'string' || t.length === 0 || t.length > 32)
    throw new Refused('not a merge type', `${pointer}/t`);
  if (t === 'lww') {
    const { rank, hlc, origin } = register;
    if (!Number.isSafeInteger(rank) || (rank as number) < 0)
      throw new Refused('not a rank', `${pointer}/rank`);
    if (hlc !== '' && !isStamp(hlc)) throw new Refused('not a stamp', `${pointer}/hlc`);
    if (hlc === '' && rank !== 0) throw new Refused('only rank 0 goes without a stamp', `${pointer}/hlc`);
    if (typeof origin !== 'string' || origin.length > 64)
      throw new Refused('not an origin', `${pointer}/origin`);
    if (!Object.hasOwn(register, 'value')) throw new Refused('no value', `${pointer}/value`);
  } else if (t === 'max') {
    const kind = typeof register['value'];
    if (kind !== 'number' && kind !== 'string') throw new Refused('not a number or text', `${pointer}/value`);
  } else if (t === 'map') {
    checkRegisters(register['entries'], `${pointer}/entries`);
  }
}

/** Bounds depth and size without recursion, and refuses what JSON of ours never has. */
function checkPlain(json: unknown): void {
  const stack: { value: unknown; depth: number }[] = [{ value: json, depth: 0 }];
  let nodes = 0;
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (++nodes > incomingLimits.nodesMax) throw new Refused('too many values', '');
    const { value, depth } = item;
    if (typeof value === 'number' && !Number.isFinite(value))
      throw new Refused('a number that is not finite', '');
    if (typeof value === 'string' && value.length > incomingLimits.textCharactersMax)
      throw new Refused('a text that is too long', '');
    if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) continue;
    if (typeof value !== 'object') throw new Refused('not JSON', '');
    if (depth >= incomingLimits.depthMax) throw new Refused('nested too deeply', '');
    for (const [key, member] of Object.entries(value)) {
      if (forbiddenKeys.has(key)) throw new Refused('a forbidden name', '');
      stack.push({ value: member, depth: depth + 1 });
    }
  }
}

function escapePointer(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
