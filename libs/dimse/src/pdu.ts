import { ProtocolError } from './errors.ts';

/**
 * Encoding and decoding of the PDUs that open and close an association (PS3.8 section 9.3, user items PS3.7
 * Annex D). Pure. P-DATA-TF is not here: see framer.ts (in) and message-writer.ts (out).
 */

/** PDU types (PS3.8 9.3.1). */
export const pduType = {
  associateRq: 1,
  associateAc: 2,
  associateRj: 3,
  data: 4,
  releaseRq: 5,
  releaseRp: 6,
  abort: 7,
} as const;

export const dicomApplicationContext = '1.2.840.10008.3.1.1.1';

/** PDU type (1), reserved (1), length (4). */
export const pduHeaderBytes = 6;

const contextsMax = 128;
const uidBytesMax = 64;

export interface ProposedContext {
  /** Odd, 1…255. */
  readonly id: number;
  /** The abstract syntax: in DICOM always a SOP Class UID or Meta SOP Class UID. */
  readonly sopClassUid: string;
  readonly transferSyntaxUids: readonly string[];
}

/**
 * Result 0 acceptance, 1 user rejection, 2 no reason, 3 abstract syntax, 4 transfer syntaxes not supported.
 */
export type ContextResult = 0 | 1 | 2 | 3 | 4;

export interface AnsweredContext {
  readonly id: number;
  readonly result: ContextResult;
  /** Only meaningful with result 0. */
  readonly transferSyntaxUid?: string;
}

/** Role selection (PS3.7 D.3.3.4): which roles the requestor of the association plays for a SOP class. */
export interface RoleSelection {
  readonly sopClassUid: string;
  readonly scu: boolean;
  readonly scp: boolean;
}

export interface ExtendedNegotiation {
  readonly sopClassUid: string;
  /** Service class application information: for Query/Retrieve byte 0 = relational queries (PS3.4 C.5). */
  readonly information: Buffer;
}

export interface CommonExtendedNegotiation {
  readonly sopClassUid: string;
  readonly serviceClassUid: string;
  readonly relatedGeneralSopClassUids: readonly string[];
}

/** User identity (PS3.7 D.3.3.7). The fields may hold credentials: never log them. */
export interface UserIdentity {
  readonly type: number;
  readonly responseRequested: boolean;
  readonly primary: Buffer;
  readonly secondary: Buffer;
}

export interface UserInformation {
  /** Largest variable field of a P-DATA-TF that the sender of this item takes; 0 = no limit. */
  readonly maxPduBytes?: number;
  readonly implementationClassUid?: string;
  readonly implementationVersionName?: string;
  readonly asyncOperations?: { readonly invoked: number; readonly performed: number };
  readonly roles?: readonly RoleSelection[];
  readonly extendedNegotiations?: readonly ExtendedNegotiation[];
  readonly commonExtendedNegotiations?: readonly CommonExtendedNegotiation[];
  readonly userIdentity?: UserIdentity;
  readonly userIdentityResponse?: Buffer;
}

interface Associate {
  readonly protocolVersion: number;
  readonly calledAeTitle: string;
  readonly callingAeTitle: string;
  readonly applicationContextName: string;
  readonly user: UserInformation;
}
export interface AssociateRequest extends Associate {
  readonly contexts: readonly ProposedContext[];
}
export interface AssociateAccept extends Associate {
  readonly contexts: readonly AnsweredContext[];
}

// ----------------------------------------------------------------------------------------------------
// decoding

/**
 * A-ASSOCIATE-RQ from its variable field (without the 6 bytes of PDU header). Contexts may come in any order;
 * unknown items are passed by (PS3.8 9.3.1). Throws ProtocolError on lengths that do not fit, more than 128
 * contexts, even or repeated ids, and contexts without an abstract or transfer syntax. AE titles are given
 * trimmed, not judged.
 */
export function decodeAssociateRequest(body: Buffer): AssociateRequest {
  const contexts: ProposedContext[] = [];
  const ids = new Set<number>();
  const head = decodeAssociate(body, 0x20, (item) => {
    const context = decodeProposedContext(item);
    if (context.id % 2 === 0) throw invalid(`presentation context id ${context.id} is even`);
    if (ids.has(context.id)) throw invalid(`presentation context id ${context.id} is repeated`);
    ids.add(context.id);
    contexts.push(context);
    if (contexts.length > contextsMax) throw invalid(`more than ${contextsMax} presentation contexts`);
  });
  return { ...head, contexts };
}

/** A-ASSOCIATE-AC from its variable field. Throws ProtocolError as `decodeAssociateRequest` does. */
export function decodeAssociateAccept(body: Buffer): AssociateAccept {
  const contexts: AnsweredContext[] = [];
  const ids = new Set<number>();
  const head = decodeAssociate(body, 0x21, (item) => {
    const context = decodeAnsweredContext(item);
    if (ids.has(context.id)) throw invalid(`presentation context id ${context.id} is answered twice`);
    ids.add(context.id);
    contexts.push(context);
  });
  return { ...head, contexts };
}

/** A-ASSOCIATE-RJ from its variable field of 4 bytes. */
export function decodeAssociateReject(body: Buffer): { result: number; source: number; reason: number } {
  return { result: byteAt(body, 1), source: byteAt(body, 2), reason: byteAt(body, 3) };
}

/** A-ABORT from its variable field of 4 bytes. */
export function decodeAbort(body: Buffer): { source: number; reason: number } {
  return { source: byteAt(body, 2), reason: byteAt(body, 3) };
}

function decodeAssociate(body: Buffer, contextType: number, onContext: (item: Buffer) => void): Associate {
  if (body.length < 68) throw invalid(`A-ASSOCIATE of ${body.length} bytes is too short`);
  let applicationContextName: string | undefined;
  let user: UserInformation | undefined;
  for (const { type, value } of items(body.subarray(68))) {
    if (type === 0x10) {
      if (applicationContextName !== undefined) throw invalid('second application context item');
      applicationContextName = uidText(value);
    } else if (type === contextType) {
      onContext(value);
    } else if (type === 0x50) {
      if (user !== undefined) throw invalid('second user information item');
      user = decodeUserInformation(value);
    }
  }
  return {
    protocolVersion: body.readUInt16BE(0),
    calledAeTitle: aeTitleText(body.subarray(4, 20)),
    callingAeTitle: aeTitleText(body.subarray(20, 36)),
    applicationContextName: applicationContextName ?? '',
    user: user ?? {},
  };
}

function decodeProposedContext(item: Buffer): ProposedContext {
  if (item.length < 4) throw invalid('presentation context item is too short');
  let sopClassUid: string | undefined;
  const transferSyntaxUids: string[] = [];
  for (const { type, value } of items(item.subarray(4))) {
    if (type === 0x30) {
      if (sopClassUid !== undefined) throw invalid('presentation context has two abstract syntaxes');
      sopClassUid = uidText(value);
    } else if (type === 0x40) transferSyntaxUids.push(uidText(value));
  }
  const id = byteAt(item, 0);
  if (sopClassUid === undefined || sopClassUid === '') {
    throw invalid(`presentation context ${id} has no abstract syntax`);
  }
  if (transferSyntaxUids.length === 0) throw invalid(`presentation context ${id} has no transfer syntax`);
  return { id, sopClassUid, transferSyntaxUids };
}

function decodeAnsweredContext(item: Buffer): AnsweredContext {
  if (item.length < 4) throw invalid('presentation context item is too short');
  const id = byteAt(item, 0);
  const result = byteAt(item, 2);
  if (result > 4) throw invalid(`presentation context ${id} has result ${result}`);
  // With any other result than 0 the transfer syntax is not significant (PS3.8 9.3.3.2) and may be nonsense.
  if (result !== 0) return { id, result: result as ContextResult };
  for (const { type, value } of items(item.subarray(4))) {
    if (type === 0x40) return { id, result: 0, transferSyntaxUid: uidText(value) };
  }
  throw invalid(`presentation context ${id} was accepted without a transfer syntax`);
}

function decodeUserInformation(body: Buffer): UserInformation {
  const user: { -readonly [K in keyof UserInformation]: UserInformation[K] } = {};
  const roles: RoleSelection[] = [];
  const extended: ExtendedNegotiation[] = [];
  const common: CommonExtendedNegotiation[] = [];
  for (const { type, value } of items(body)) {
    const fields = new Fields(value);
    if (type === 0x51) user.maxPduBytes = fields.uint32();
    else if (type === 0x52) user.implementationClassUid = uidText(value);
    else if (type === 0x53) user.asyncOperations = { invoked: fields.uint16(), performed: fields.uint16() };
    else if (type === 0x54) {
      roles.push({
        sopClassUid: uidText(fields.counted()),
        scu: fields.uint8() === 1,
        scp: fields.uint8() === 1,
      });
    } else if (type === 0x55) user.implementationVersionName = aeTitleText(value);
    else if (type === 0x56) {
      extended.push({ sopClassUid: uidText(fields.counted()), information: Buffer.from(fields.rest()) });
    } else if (type === 0x57) common.push(decodeCommonExtended(fields));
    else if (type === 0x58) {
      user.userIdentity = {
        type: fields.uint8(),
        responseRequested: fields.uint8() === 1,
        primary: Buffer.from(fields.counted()),
        secondary: Buffer.from(fields.counted()),
      };
    } else if (type === 0x59) user.userIdentityResponse = Buffer.from(fields.counted());
  }
  if (roles.length > 0) user.roles = roles;
  if (extended.length > 0) user.extendedNegotiations = extended;
  if (common.length > 0) user.commonExtendedNegotiations = common;
  return user;
}

function decodeCommonExtended(fields: Fields): CommonExtendedNegotiation {
  const sopClassUid = uidText(fields.counted());
  const serviceClassUid = uidText(fields.counted());
  const related = new Fields(fields.counted());
  const relatedGeneralSopClassUids: string[] = [];
  while (related.left > 0) relatedGeneralSopClassUids.push(uidText(related.counted()));
  return { sopClassUid, serviceClassUid, relatedGeneralSopClassUids };
}

/** Items of type (1), reserved (1), length (2), value. */
function* items(body: Buffer): Generator<{ type: number; value: Buffer }> {
  let at = 0;
  while (at < body.length) {
    if (at + 4 > body.length) throw invalid('item header is cut off');
    const end = at + 4 + body.readUInt16BE(at + 2);
    if (end > body.length)
      throw invalid(`item 0x${byteAt(body, at).toString(16)} is longer than what holds it`);
    yield { type: byteAt(body, at), value: body.subarray(at + 4, end) };
    at = end;
  }
}

/** Reads the fixed fields of one item, never beyond its end. */
class Fields {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }
  get left(): number {
    return this.#bytes.length - this.#at;
  }
  uint8(): number {
    return this.#take(1).readUInt8(0);
  }
  uint16(): number {
    return this.#take(2).readUInt16BE(0);
  }
  uint32(): number {
    return this.#take(4).readUInt32BE(0);
  }
  counted(): Buffer {
    return this.#take(this.uint16());
  }
  rest(): Buffer {
    return this.#take(this.left);
  }
  #take(length: number): Buffer {
    if (length > this.left) throw invalid('field is longer than its item');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}

function uidText(bytes: Buffer): string {
  const uid = bytes.toString('latin1').replace(/[\0 ]+$/, '');
  if (uid.length > uidBytesMax) throw invalid(`UID of ${uid.length} characters`);
  return uid;
}

function aeTitleText(bytes: Buffer): string {
  return bytes.toString('latin1').replace(/^[\0 ]+|[\0 ]+$/g, '');
}

function byteAt(bytes: Buffer, at: number): number {
  return bytes.readUInt8(at);
}

function invalid(why: string): ProtocolError {
  return new ProtocolError(6, why);
}

// ----------------------------------------------------------------------------------------------------
// encoding

/** A-ASSOCIATE-RQ, whole PDU. AE titles must be legal and contexts within 128: the caller's duty. */
export function encodeAssociateRequest(request: AssociateRequest): Buffer {
  const contexts = request.contexts.map((context) =>
    item(
      0x20,
      Buffer.from([context.id, 0, 0, 0]),
      item(0x30, text(context.sopClassUid)),
      ...context.transferSyntaxUids.map((uid) => item(0x40, text(uid))),
    ),
  );
  return encodeAssociate(pduType.associateRq, request, contexts);
}

/**
 * A-ASSOCIATE-AC, whole PDU. `calledAeTitle` and `callingAeTitle` repeat those of the request (PS3.8 9.3.3).
 */
export function encodeAssociateAccept(accept: AssociateAccept): Buffer {
  const contexts = accept.contexts.map((context) =>
    item(
      0x21,
      Buffer.from([context.id, 0, context.result, 0]),
      item(0x40, text(context.transferSyntaxUid ?? '1.2.840.10008.1.2')),
    ),
  );
  return encodeAssociate(pduType.associateAc, accept, contexts);
}

/** A-ASSOCIATE-RJ, whole PDU. */
export function encodeAssociateReject(facts: { result: number; source: number; reason: number }): Buffer {
  return Buffer.from([pduType.associateRj, 0, 0, 0, 0, 4, 0, facts.result, facts.source, facts.reason]);
}

/** A-RELEASE-RQ, whole PDU. */
export function encodeReleaseRequest(): Buffer {
  return Buffer.from([pduType.releaseRq, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
}

/** A-RELEASE-RP, whole PDU. */
export function encodeReleaseResponse(): Buffer {
  return Buffer.from([pduType.releaseRp, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
}

/** A-ABORT, whole PDU. */
export function encodeAbort(source: number, reason: number): Buffer {
  return Buffer.from([pduType.abort, 0, 0, 0, 0, 4, 0, 0, source, reason]);
}

function encodeAssociate(type: number, associate: Associate, contexts: readonly Buffer[]): Buffer {
  const fixed = Buffer.alloc(68);
  fixed.writeUInt16BE(associate.protocolVersion, 0);
  fixed.write(associate.calledAeTitle.padEnd(16).slice(0, 16), 4, 'latin1');
  fixed.write(associate.callingAeTitle.padEnd(16).slice(0, 16), 20, 'latin1');
  const body = Buffer.concat([
    fixed,
    item(0x10, text(associate.applicationContextName)),
    ...contexts,
    item(0x50, ...encodeUserInformation(associate.user)),
  ]);
  const header = Buffer.alloc(pduHeaderBytes);
  header.writeUInt8(type, 0);
  header.writeUInt32BE(body.length, 2);
  return Buffer.concat([header, body]);
}

function encodeUserInformation(user: UserInformation): Buffer[] {
  const parts: Buffer[] = [];
  if (user.maxPduBytes !== undefined) parts.push(item(0x51, uint32(user.maxPduBytes)));
  if (user.implementationClassUid !== undefined) parts.push(item(0x52, text(user.implementationClassUid)));
  if (user.asyncOperations !== undefined) {
    parts.push(item(0x53, uint16(user.asyncOperations.invoked), uint16(user.asyncOperations.performed)));
  }
  for (const role of user.roles ?? []) {
    parts.push(
      item(0x54, counted(text(role.sopClassUid)), Buffer.from([role.scu ? 1 : 0, role.scp ? 1 : 0])),
    );
  }
  if (user.implementationVersionName !== undefined) {
    parts.push(item(0x55, text(user.implementationVersionName.slice(0, 16))));
  }
  for (const extended of user.extendedNegotiations ?? []) {
    parts.push(item(0x56, counted(text(extended.sopClassUid)), extended.information));
  }
  for (const common of user.commonExtendedNegotiations ?? []) {
    const related = Buffer.concat(common.relatedGeneralSopClassUids.map((uid) => counted(text(uid))));
    parts.push(
      item(0x57, counted(text(common.sopClassUid)), counted(text(common.serviceClassUid)), counted(related)),
    );
  }
  if (user.userIdentity !== undefined) {
    const { type, responseRequested, primary, secondary } = user.userIdentity;
    parts.push(
      item(0x58, Buffer.from([type, responseRequested ? 1 : 0]), counted(primary), counted(secondary)),
    );
  }
  if (user.userIdentityResponse !== undefined) parts.push(item(0x59, counted(user.userIdentityResponse)));
  return parts;
}

function item(type: number, ...parts: readonly Buffer[]): Buffer {
  const value = Buffer.concat(parts);
  if (value.length > 0xffff) throw new RangeError(`item 0x${type.toString(16)} is longer than 65,535 bytes`);
  return Buffer.concat([Buffer.from([type, 0]), uint16(value.length), value]);
}

function counted(value: Buffer): Buffer {
  return Buffer.concat([uint16(value.length), value]);
}

function text(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
