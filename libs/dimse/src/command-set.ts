import { ProtocolError } from './errors.ts';

/**
 * Command sets (PS3.7 section 6.3, Annex E): group 0000, always implicit VR little endian. Hand-written
 * because each message has one or two: about 1 µs, where a general data set codec takes 40–200 µs.
 */

/** Command Field (0000,0100). A response is its request | 0x8000. */
export const commandField = {
  cStoreRq: 0x0001,
  cGetRq: 0x0010,
  cFindRq: 0x0020,
  cMoveRq: 0x0021,
  cEchoRq: 0x0030,
  cCancelRq: 0x0fff,
  nEventReportRq: 0x0100,
  nGetRq: 0x0110,
  nSetRq: 0x0120,
  nActionRq: 0x0130,
  nCreateRq: 0x0140,
  nDeleteRq: 0x0150,
  response: 0x8000,
} as const;

/** Command Data Set Type (0000,0800): this value says that no data set follows, every other that one does. */
export const noDataSet = 0x0101;

/**
 * Numbers of C-MOVE and C-GET sub-operations (PS3.4 C.4.2.1.6 to .9). `remaining` is absent in final
 * responses.
 */
export interface SubOperationCounts {
  readonly remaining?: number;
  readonly completed: number;
  readonly failed: number;
  readonly warning: number;
}

export interface CommandSet {
  readonly commandField: number;
  readonly hasDataSet: boolean;
  readonly messageId?: number;
  readonly messageIdBeingRespondedTo?: number;
  readonly affectedSopClassUid?: string;
  readonly requestedSopClassUid?: string;
  readonly affectedSopInstanceUid?: string;
  readonly requestedSopInstanceUid?: string;
  readonly priority?: number;
  readonly status?: number;
  readonly errorComment?: string;
  readonly eventTypeId?: number;
  readonly actionTypeId?: number;
  /** Attribute Identifier List: eight upper-case hexadecimal digits each. */
  readonly attributeTags?: readonly string[];
  readonly moveDestination?: string;
  readonly moveOriginatorAeTitle?: string;
  readonly moveOriginatorMessageId?: number;
  readonly remainingSubOperations?: number;
  readonly completedSubOperations?: number;
  readonly failedSubOperations?: number;
  readonly warningSubOperations?: number;
}

type FieldName = Exclude<keyof CommandSet, 'hasDataSet'>;
type Kind = 'uid' | 'text' | 'ae' | 'number' | 'tags';

/** Elements of group 0000 that this library reads and writes, in tag order. Others are passed by. */
const fields: readonly (readonly [element: number, name: FieldName, kind: Kind])[] = [
  [0x0002, 'affectedSopClassUid', 'uid'],
  [0x0003, 'requestedSopClassUid', 'uid'],
  [0x0100, 'commandField', 'number'],
  [0x0110, 'messageId', 'number'],
  [0x0120, 'messageIdBeingRespondedTo', 'number'],
  [0x0600, 'moveDestination', 'ae'],
  [0x0700, 'priority', 'number'],
  [0x0800, 'commandField', 'number'], // Command Data Set Type, written from hasDataSet
  [0x0900, 'status', 'number'],
  [0x0902, 'errorComment', 'text'],
  [0x1000, 'affectedSopInstanceUid', 'uid'],
  [0x1001, 'requestedSopInstanceUid', 'uid'],
  [0x1002, 'eventTypeId', 'number'],
  [0x1005, 'attributeTags', 'tags'],
  [0x1008, 'actionTypeId', 'number'],
  [0x1020, 'remainingSubOperations', 'number'],
  [0x1021, 'completedSubOperations', 'number'],
  [0x1022, 'failedSubOperations', 'number'],
  [0x1023, 'warningSubOperations', 'number'],
  [0x1030, 'moveOriginatorAeTitle', 'ae'],
  [0x1031, 'moveOriginatorMessageId', 'number'],
];
const dataSetTypeElement = 0x0800;
const fieldOf = new Map(fields.map((field) => [field[0], field]));

const errorCommentCharactersMax = 64;

/**
 * Decodes one whole command set. Throws ProtocolError when a length does not fit, an element of a request is of
 * another group, or Command Field or Command Data Set Type is missing. In a response such elements are passed by:
 * Orthanc puts the Failed SOP Instance UID List of a C-GET there, and the status matters more than its place. UIDs and
 * AE titles are trimmed, not judged.
 */
export function decodeCommandSet(bytes: Buffer): CommandSet {
  const command: { [name: string]: string | number | boolean | string[] } = {};
  let dataSetType: number | undefined;
  let at = 0;
  while (at < bytes.length) {
    if (at + 8 > bytes.length) throw malformed('element header is cut off');
    const isOfCommand = bytes.readUInt16LE(at) === 0;
    if (!isOfCommand && !isResponse(command['commandField'])) throw malformed('element is not of group 0000');
    const element = bytes.readUInt16LE(at + 2);
    const start = at + 8;
    const end = start + bytes.readUInt32LE(at + 4);
    if (end > bytes.length) throw malformed('element is longer than the command set');
    at = end;
    const field = isOfCommand ? fieldOf.get(element) : undefined;
    if (field === undefined) continue;
    if (field[2] === 'tags') command[field[1]] = readTags(bytes, start, end);
    else if (field[2] !== 'number') command[field[1]] = trimmed(bytes, start, end);
    else if (end - start >= 2) {
      if (element === dataSetTypeElement) dataSetType = bytes.readUInt16LE(start);
      else command[field[1]] = bytes.readUInt16LE(start);
    }
  }
  if (command['commandField'] === undefined) throw malformed('no Command Field');
  if (dataSetType === undefined) throw malformed('no Command Data Set Type');
  command['hasDataSet'] = dataSetType !== noDataSet;
  return command as unknown as CommandSet;
}

function isResponse(field: unknown): boolean {
  return typeof field === 'number' && (field & commandField.response) !== 0;
}

/**
 * Encodes a command set with its group length. Absent fields are left out; an error comment is cut to 64
 * characters.
 */
export function encodeCommandSet(command: CommandSet): Buffer {
  let length = 12 + 10; // group length; Command Data Set Type
  for (const [element, name] of fields) {
    if (element === dataSetTypeElement) continue;
    const value = command[name];
    if (value === undefined) continue;
    if (typeof value === 'number') length += 10;
    else length += 8 + (typeof value === 'string' ? evened(clipped(name, value).length) : value.length * 4);
  }
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32LE(4, 4);
  bytes.writeUInt32LE(length - 12, 8);
  let at = 12;
  for (const [element, name, kind] of fields) {
    const value = element === dataSetTypeElement ? (command.hasDataSet ? 1 : noDataSet) : command[name];
    if (value === undefined) continue;
    bytes.writeUInt16LE(element, at + 2);
    if (typeof value === 'number') at = writeNumber(bytes, at, value);
    else if (typeof value === 'string') at = writeText(bytes, at, name, value, kind);
    else at = writeTags(bytes, at, value);
  }
  return bytes;
}

function writeNumber(bytes: Buffer, at: number, value: number): number {
  bytes.writeUInt32LE(2, at + 4);
  bytes.writeUInt16LE(value, at + 8);
  return at + 10;
}

function writeText(bytes: Buffer, at: number, name: FieldName, value: string, kind: Kind): number {
  const text = clipped(name, value);
  const length = evened(text.length);
  bytes.writeUInt32LE(length, at + 4);
  bytes.write(text, at + 8, 'latin1');
  // A UID is padded with NUL, which is already there; text with a space (PS3.5 6.2).
  if (length !== text.length && kind !== 'uid') bytes.writeUInt8(0x20, at + 8 + text.length);
  return at + 8 + length;
}

function writeTags(bytes: Buffer, at: number, tags: readonly string[]): number {
  bytes.writeUInt32LE(tags.length * 4, at + 4);
  for (const [index, tag] of tags.entries()) {
    bytes.writeUInt16LE(Number.parseInt(tag.slice(0, 4), 16), at + 8 + index * 4);
    bytes.writeUInt16LE(Number.parseInt(tag.slice(4), 16), at + 10 + index * 4);
  }
  return at + 8 + tags.length * 4;
}

function readTags(bytes: Buffer, start: number, end: number): string[] {
  const tags: string[] = [];
  for (let at = start; at + 4 <= end; at += 4) {
    const tag = bytes.readUInt16LE(at) * 0x10000 + bytes.readUInt16LE(at + 2);
    tags.push(tag.toString(16).toUpperCase().padStart(8, '0'));
  }
  return tags;
}

/**
 * LO of the default repertoire: what is beyond ASCII cannot be said in a command set, and a backslash splits.
 */
function clipped(name: FieldName, value: string): string {
  if (name !== 'errorComment') return value;
  return value.replace(/[^\x20-\x7e]|\\/g, '?').slice(0, errorCommentCharactersMax);
}

function evened(length: number): number {
  return length + (length & 1);
}

/** Text without its padding: NULs and spaces at the end, spaces at the start. */
function trimmed(bytes: Buffer, start: number, end: number): string {
  let from = start;
  let to = end;
  while (to > from && (bytes[to - 1] === 0 || bytes[to - 1] === 0x20)) to -= 1;
  while (from < to && bytes[from] === 0x20) from += 1;
  return bytes.toString('latin1', from, to);
}

function malformed(why: string): ProtocolError {
  return new ProtocolError(6, `command set: ${why}`);
}
