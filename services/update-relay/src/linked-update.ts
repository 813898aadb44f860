import { createHash } from 'node:crypto';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import {
  binaryElement,
  bytesOfElement,
  decodeDataSet,
  DataSetError,
  dimseStatus,
  element,
  encodeDataSet,
  isUid,
  linkElements,
  privateBlock,
  privateCreator,
  readPrivate,
  stringOf,
  tags,
  uids,
} from '@isthmus/dicom';
import type { DataElement } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/domain';
import { batchFormat, batchLimits, parseBatch } from './batch.ts';
import type { Batch, BatchItem } from './batch.ts';

/** A batch ready for `dimse.store`. */
export interface EncodedUpdate {
  /** Derived from the payload: the same batch sent twice is the same object. */
  readonly sopInstanceUid: string;
  readonly transferSyntaxUid: string;
  readonly bytes: Buffer;
}

/** Items that the readable summary names; the payload has them all. */
const summaryItemsMax = 32;

/**
 * Writes a batch as the data set of one Isthmus Linked Update (docs/CONFORMANCE.md): readable header
 * elements, then the JSON payload, plain up to 64 KiB and deflated (RFC 1951) above, with length and SHA-256
 * of the JSON.
 *
 * @returns `tooLarge` when it would not fit through NATS, or would inflate beyond the receiver's bound; send less.
 */
export function encodeLinkedUpdate(batch: Batch): EncodedUpdate | 'tooLarge' {
  const json = Buffer.from(JSON.stringify(batch), 'utf8');
  if (json.length > batchLimits.inflatedBytesMax) return 'tooLarge';
  const sopInstanceUid = derivedUid(json);
  const transferSyntaxUid = uids.ExplicitVrLittleEndian;
  const bytes = encodeDataSet(
    {
      [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
      [tags.SOPClassUID]: element('UI', uids.IsthmusLinkedUpdateStorage),
      [tags.SOPInstanceUID]: element('UI', sopInstanceUid),
      ...privateBlock(privateCreator.link, {
        [linkElements.format]: element('US', batch.format),
        [linkElements.sender]: element('LO', batch.sender),
        [linkElements.incarnation]: element('UI', incarnationUid(batch.incarnation)),
        [linkElements.after]: element('LO', String(batch.after)),
        [linkElements.upto]: element('LO', String(batch.upto)),
        [linkElements.itemCount]: element('UL', batch.items.length),
        [linkElements.summary]: element('SQ', ...batch.items.slice(0, summaryItemsMax).map(summaryOf)),
        ...payloadElements(json),
      }),
    },
    transferSyntaxUid,
  );
  return bytes.length > batchLimits.wireBytesMax ? 'tooLarge' : { sopInstanceUid, transferSyntaxUid, bytes };
}

function payloadElements(json: Buffer): { [byte: number]: DataElement } {
  const plain = json.length <= batchLimits.plainBytesMax;
  return {
    [linkElements.payloadEncoding]: element('CS', plain ? 'JSON' : 'DEFLATE'),
    ...(plain
      ? { [linkElements.payloadJson]: element('UT', json.toString('utf8')) }
      : { [linkElements.payloadDeflated]: binaryElement('OB', deflateRawSync(json)) }),
    [linkElements.payloadBytes]: element('UL', json.length),
    [linkElements.payloadSha256]: element('LO', sha256Hex(json)),
  };
}

function summaryOf(item: BatchItem): DataSetJson {
  const { study, type, origin } = facts(item);
  return {
    ...(study !== undefined && isUid(study) ? { [tags.StudyInstanceUID]: element('UI', study) } : {}),
    ...privateBlock(privateCreator.link, {
      [linkElements.summaryType]: element('LO', type),
      [linkElements.summaryOrigin]: element('LO', origin),
    }),
  };
}

function facts(item: BatchItem): { study?: string; type: string; origin: string } {
  switch (item.kind) {
    case 'event': {
      const { aggregate } = item.event.data as { aggregate?: unknown };
      const study = aggregate === 'study' ? { study: item.event.subject } : {};
      return { ...study, type: item.event.type.slice(0, 64), origin: item.event.origin };
    }
    case 'state':
      return { study: item.study, type: 'State', origin: item.path[0] ?? '' };
    case 'manifest':
      return { study: item.manifest.studyInstanceUid, type: 'Manifest', origin: '' };
  }
}

/**
 * A linked update as it was read, or the status word that refuses it, with a comment of 64 characters at
 * most.
 */
export type DecodedUpdate =
  | { readonly batch: Batch; readonly sopInstanceUid: string | undefined }
  | { readonly status: number; readonly errorComment: string };

/**
 * Reads the data set of a linked update. Checks format, length, hash and every item; never throws on what a
 * peer sent.
 */
export function decodeLinkedUpdate(bytes: Buffer, transferSyntaxUid: string): DecodedUpdate {
  let dataSet: DataSetJson;
  try {
    dataSet = decodeDataSet(bytes, transferSyntaxUid);
  } catch (error) {
    if (error instanceof DataSetError) return mismatch(`not a data set: ${error.code}`);
    throw error;
  }
  const read = (byte: number): DataElement | undefined => readPrivate(dataSet, privateCreator.link, byte);
  const format = Number(read(linkElements.format)?.Value?.[0]);
  if (format !== batchFormat) {
    return { status: dimseStatus.LinkFormatUnknown, errorComment: `highest format: ${batchFormat}` };
  }
  const json = payloadOf(read);
  if (typeof json === 'string') return mismatch(json);
  if (Number(read(linkElements.payloadBytes)?.Value?.[0]) !== json.length) return mismatch('length differs');
  if (read(linkElements.payloadSha256)?.Value?.[0] !== sha256Hex(json)) return mismatch('SHA-256 differs');
  const parsed = parseBatch(json.toString('utf8'));
  if ('malformed' in parsed) return mismatch(parsed.malformed);
  const { batch } = parsed;
  if (read(linkElements.sender)?.Value?.[0] !== batch.sender)
    return mismatch('sender differs in the payload');
  return { batch, sopInstanceUid: stringOf(dataSet, tags.SOPInstanceUID) };
}

/** @returns The JSON's bytes, or what is wrong with them. */
function payloadOf(read: (byte: number) => DataElement | undefined): Buffer | string {
  switch (read(linkElements.payloadEncoding)?.Value?.[0]) {
    case 'JSON': {
      const text = read(linkElements.payloadJson)?.Value?.[0];
      return typeof text === 'string' ? Buffer.from(text, 'utf8') : 'no payload';
    }
    case 'DEFLATE': {
      const deflated = bytesOfElement(read(linkElements.payloadDeflated));
      if (!deflated) return 'no payload';
      try {
        // A pad byte after the last block is left over; it is no part of the stream.
        return inflateRawSync(deflated, { maxOutputLength: batchLimits.inflatedBytesMax });
      } catch {
        return 'the payload does not inflate, or inflates beyond the bound';
      }
    }
    default:
      return 'unknown payload encoding';
  }
}

function mismatch(reason: string): DecodedUpdate {
  return { status: dimseStatus.DataSetDoesNotMatchSopClass, errorComment: reason.slice(0, 64) };
}

/** An incarnation as a UID: itself when it is one, else derived from it. */
export function incarnationUid(incarnation: string): string {
  return isUid(incarnation) ? incarnation : derivedUid(incarnation);
}

/** A UID under 2.25 (PS3.5 B.2) from a SHA-256. The version bits are not set: it names content, not a UUID. */
function derivedUid(content: string | Buffer): string {
  return `2.25.${BigInt(`0x${sha256Hex(content).slice(0, 32)}`)}`;
}

function sha256Hex(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
