import { personNameText } from './data-set-json.ts';
import type { DataElement } from './data-set-json.ts';
import type { ValueRepresentation } from './dictionary.ts';
import { DataSetError } from './errors.ts';
import { toLittleEndian } from './read-value.ts';

/** Where a value is about to be written, for the error that says it cannot. */
export interface Place {
  readonly tag: string;
  readonly vr: string;
}

/**
 * Bytes of the value of an element, of any VR but SQ, padded to even length (PS3.5 6.2). Text of VRs that have a
 * character set is UTF-8; the caller has made (0008,0005) say so when it is not plain ASCII.
 *
 * @throws DataSetError `unencodable` when a value does not fit the VR
 */
export function writeValue(
  found: DataElement,
  place: Place,
  representation: ValueRepresentation,
  littleEndian: boolean,
): Buffer {
  if (found.BulkDataURI !== undefined)
    throw unencodable('The value of a bulk data reference is not here', place);
  if (representation.kind === 'binary') return binary(found, place, representation.bytes, littleEndian);
  if (found.InlineBinary !== undefined) throw unencodable('Only binary VRs have inline binary', place);
  const values = valuesOf(found, place);
  switch (representation.kind) {
    case 'number':
      return numbers(values, place, representation.bytes, littleEndian);
    case 'tag':
      return attributeTags(values, place, littleEndian);
    default:
      return text(values, place, representation);
  }
}

/** The values, or [] when there are none. */
export function valuesOf(found: DataElement, place: Place): readonly unknown[] {
  if (found.Value === undefined) return [];
  if (!Array.isArray(found.Value)) throw unencodable('Value is not a list', place);
  return found.Value;
}

/** Text that `writeValue` would write, values separated by backslashes. */
function text(values: readonly unknown[], place: Place, representation: ValueRepresentation): Buffer {
  const written = values.map((value) => textValue(value, place, representation)).join('\\');
  if (!representation.multiple && values.length > 1) throw unencodable('The VR holds one value only', place);
  const bytes = Buffer.from(written, representation.characterSet ? 'utf8' : 'latin1');
  // What was read as Latin-1 where only ASCII is allowed goes out as it came; other letters have no bytes to be.
  if (!representation.characterSet && bytes.toString('latin1') !== written) {
    throw unencodable('The VR holds ASCII text only', place);
  }
  return padded(bytes, place.vr === 'UI' ? 0x00 : 0x20);
}

function textValue(value: unknown, place: Place, { kind, multiple }: ValueRepresentation): string {
  if (value === null) return '';
  if (kind === 'name') return nameText(value, place);
  const written = typeof value === 'number' ? decimal(value, place) : value;
  if (typeof written !== 'string') throw unencodable('The value is neither text nor number', place);
  if (multiple && written.includes('\\'))
    throw unencodable('A backslash in the text would separate values', place);
  return written;
}

function nameText(value: unknown, place: Place): string {
  if (typeof value !== 'string' && (typeof value !== 'object' || Array.isArray(value))) {
    throw unencodable('The value is not a person name', place);
  }
  const name = personNameText(value);
  if (name.includes('\\')) throw unencodable('A backslash in the name would separate values', place);
  if (typeof value === 'object' && Object.values(value!).some((group) => String(group).includes('='))) {
    throw unencodable('An equals sign in the name would separate component groups', place);
  }
  return name;
}

/** At most 16 characters in a DS (PS3.5 6.2); whole numbers in an IS. */
function decimal(value: number, place: Place): string {
  if (!Number.isFinite(value)) throw unencodable('The number is not finite', place);
  if (place.vr === 'IS' && !Number.isInteger(value)) throw unencodable('The number is not whole', place);
  const exact = String(value);
  if (place.vr !== 'DS' || exact.length <= 16) return exact;
  for (let digits = 15; digits > 0; digits--) {
    const shorter = String(Number(value.toPrecision(digits)));
    if (shorter.length <= 16) return shorter;
  }
  throw unencodable('The number does not fit 16 characters', place);
}

function numbers(values: readonly unknown[], place: Place, size: number, littleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(values.length * size);
  for (const [index, value] of values.entries()) {
    try {
      writeNumber(bytes, index * size, place.vr, value);
    } catch (error) {
      throw unencodable('The number does not fit its VR', place, error);
    }
  }
  return toLittleEndian(bytes, size, littleEndian);
}

/** Throws RangeError, SyntaxError or TypeError when the value is no number or does not fit. */
function writeNumber(bytes: Buffer, at: number, vr: string, value: unknown): void {
  if (typeof value !== 'number' && typeof value !== 'string') throw new TypeError('Neither number nor text');
  if (vr === 'SV') bytes.writeBigInt64LE(BigInt(value), at);
  else if (vr === 'UV') bytes.writeBigUInt64LE(BigInt(value), at);
  else if (vr === 'FL') bytes.writeFloatLE(real(value), at);
  else if (vr === 'FD') bytes.writeDoubleLE(real(value), at);
  else {
    const number = Number(value);
    if (!Number.isInteger(number) || value === '') throw new RangeError('Not a whole number');
    if (vr === 'US') bytes.writeUInt16LE(number, at);
    else if (vr === 'SS') bytes.writeInt16LE(number, at);
    else if (vr === 'UL') bytes.writeUInt32LE(number, at);
    else bytes.writeInt32LE(number, at);
  }
}

function real(value: number | string): number {
  if (value === 'NaN') return Number.NaN;
  if (value === 'inf') return Infinity;
  if (value === '-inf') return -Infinity;
  const number = Number(value);
  if (Number.isNaN(number) || value === '') throw new RangeError('Not a number');
  return number;
}

function attributeTags(values: readonly unknown[], place: Place, littleEndian: boolean): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) {
    if (typeof value !== 'string' || !/^[0-9a-f]{8}$/i.test(value)) {
      throw unencodable('The value is not a tag of 8 hex digits', place);
    }
    bytes.writeUInt16LE(Number.parseInt(value.slice(0, 4), 16), index * 4);
    bytes.writeUInt16LE(Number.parseInt(value.slice(4), 16), index * 4 + 2);
  }
  return toLittleEndian(bytes, 2, littleEndian);
}

function binary(found: DataElement, place: Place, size: number, littleEndian: boolean): Buffer {
  if (found.Value !== undefined) throw unencodable('A binary VR has inline binary, not values', place);
  if (found.InlineBinary === undefined) return Buffer.alloc(0);
  if (typeof found.InlineBinary !== 'string') throw unencodable('Inline binary is not text', place);
  return toLittleEndian(padded(Buffer.from(found.InlineBinary, 'base64'), 0x00), size, littleEndian);
}

function padded(bytes: Buffer, padding: number): Buffer {
  return bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(padding)]);
}

/** The message names the rule, never the value. */
export function unencodable(message: string, { tag, vr }: Place, cause?: unknown): DataSetError {
  return new DataSetError('unencodable', `${message} (${tag} ${vr})`, { tag }, cause);
}
