import { uidPattern } from '@isthmus/dicom';

/**
 * Names of aggregates in the log. Dots separate tokens in a NATS subject, so UIDs travel with `-` for `.`,
 * and any other text as lower hex: raw text off the wire never becomes part of a subject.
 */

const shards = 16;

/** FNV-1a, 32 bit: stable for good, since it names subjects in stored logs. */
function shardOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return hash % shards;
}

function uidToken(uid: string): string {
  if (!uidPattern.test(uid)) throw new RangeError('not a UID: digits in components, 1 to 64 characters');
  return uid.replaceAll('.', '-');
}

function hexToken(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex');
}

export function studySubject(studyInstanceUid: string): string {
  return `study.${shardOf(studyInstanceUid)}.${uidToken(studyInstanceUid)}`;
}
export function instanceSubject(studyInstanceUid: string): string {
  return `instance.${shardOf(studyInstanceUid)}.${uidToken(studyInstanceUid)}`;
}
/** @param key - See `patientKey`. */
export function patientSubject(key: string): string {
  return `patient.${shardOf(key)}.${hexToken(key)}`;
}
/** @param kind - `order` or `visit`. */
export function orderSubject(kind: 'order' | 'visit', number: string): string {
  return `order.${kind}.${hexToken(number)}`;
}
export function configSubject(kind: string, name: string): string {
  return `config.${kind}.${hexToken(name)}`;
}

/**
 * Identity of a patient: ID and issuer together. The same bare ID of two issuers is two people. A `^` or
 * `\` inside either part is escaped as in HL7 v2 §2.7, so that two pairs never share a key.
 */
export function patientKey(id: string, issuer: string): string {
  return `${escaped(id)}^^^${escaped(issuer)}`;
}

/** The ID and issuer that a patient key is made of; undefined when it is none. */
export function readPatientKey(key: string): { readonly id: string; readonly issuer: string } | undefined {
  const parts = key.split('^^^');
  const [id, issuer] = parts;
  return parts.length === 2 && id !== undefined && issuer !== undefined
    ? { id: unescaped(id), issuer: unescaped(issuer) }
    : undefined;
}

function unescaped(part: string): string {
  return part.replace(/\\([SE])\\/g, (_, letter) => (letter === 'S' ? '^' : '\\'));
}

function escaped(part: string): string {
  if (!/[\^\\]/.test(part)) return part;
  return part.replaceAll('\\', '\\E\\').replaceAll('^', '\\S\\');
}
