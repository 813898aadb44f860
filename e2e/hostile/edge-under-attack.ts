import assert from 'node:assert/strict';
import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  associateRequest,
  commandSet,
  dataPdu,
  openRawAssociation,
  openRawConnection,
  pdu,
  statusOf,
  type RawAssociation,
  type RawAssociationOptions,
  type RawConnection,
} from '@isthmus/testing';
import { startSystem, type SystemUnderTest } from '../src/system-under-test.ts';

export const verification = '1.2.840.10008.1.1';
export const secondaryCapture = '1.2.840.10008.5.1.4.1.1.7';
export const studyRootFind = '1.2.840.10008.5.1.4.1.2.2.1';
export const explicitLittleEndian = '1.2.840.10008.1.2.1';
export const deflatedExplicit = '1.2.840.10008.1.2.1.99';

/** How long an attacker waits for what should come at once. */
const answerMs = 10_000;

/** An edge of a running system, seen from a hostile peer and from its operating system. */
export class EdgeUnderAttack {
  readonly #system: SystemUnderTest;
  #objects = 0;

  private constructor(system: SystemUnderTest) {
    this.#system = system;
  }

  static async start(): Promise<EdgeUnderAttack> {
    return new EdgeUnderAttack(await startSystem({ clusters: 2 }));
  }

  stop(): Promise<void> {
    return this.#system.stop();
  }

  get port(): number {
    return this.#system.cluster('north').dicom.port;
  }

  get #pid(): number {
    return this.#system.cluster('north').pids['dimse-edge'] as number;
  }

  connect(): Promise<RawConnection> {
    return openRawConnection(this.port);
  }

  associate(options: Partial<RawAssociationOptions> = {}): Promise<RawAssociation> {
    return openRawAssociation({ port: this.port, ...proposal, ...options });
  }

  /**
   * File descriptors of the process: sockets, and files of objects. The directories of the object store do not count:
   * the edge keeps those open, to force them to the disk.
   */
  descriptors(): { readonly sockets: number; readonly files: number } {
    const directory = `/proc/${this.#pid}/fd`;
    const targets = readdirSync(directory).flatMap((fd) => {
      try {
        return [readlinkSync(join(directory, fd))];
      } catch {
        return []; // closed meanwhile
      }
    });
    return {
      sockets: targets.filter((target) => target.startsWith('socket:')).length,
      files: targets.filter((target) => /\.(?:part|dcm)\b/.test(target)).length,
    };
  }

  residentMiB(): number {
    const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${this.#pid}/status`, 'latin1'));
    return Number(line?.[1]) / 1024;
  }

  /** Temporary files of objects that are coming in. */
  incoming(): readonly string[] {
    const cwd = join(this.#system.dataDirectory, 'north/objects/incoming');
    const found = globSync('**/*', { cwd, withFileTypes: true });
    return found.filter((entry) => entry.isFile()).map(({ name }) => name);
  }

  /** Files of the object store whose names are not made by the store alone. */
  strangeFiles(): readonly string[] {
    const root = join(this.#system.dataDirectory, 'north/objects');
    assert.ok(existsSync(root));
    return globSync('**/*', { cwd: root, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
      .filter((name) => !ownNames.test(name));
  }

  /** What a well-behaved peer does: C-ECHO, then C-STORE of an object that nobody has seen before. */
  async assertServes(): Promise<void> {
    const echo = await this.associate({ abstractSyntax: verification });
    assert.equal(await echoOn(echo), 0, 'C-ECHO');
    await echo.release();
    const store = await this.associate();
    this.#objects += 1;
    const sopInstanceUid = `1.2.3.${process.pid}.${this.#objects}`;
    const status = await within('C-STORE', store.store(objectOf({ sopInstanceUid })));
    assert.equal(status, 0, 'C-STORE');
    await store.release();
  }
}

const proposal = {
  calledAeTitle: 'NORTH',
  callingAeTitle: 'HOSTILE',
  abstractSyntax: secondaryCapture,
  transferSyntax: explicitLittleEndian,
} as const;

/** An object in place, and one that is coming in or a file that was made for the next. */
const ownNames = /^(?:objects\/[0-9a-f]{2}\/[0-9a-f]{64}\.dcm|incoming\/[0-9a-f-]{36}\/\d+\.part)$/;

/** An A-ASSOCIATE-RQ that would be accepted, with more items. */
export function goodRequest(...items: readonly Buffer[]): Buffer {
  return associateRequest(proposal, ...items);
}

/** C-ECHO on an association for Verification. @returns its status */
export async function echoOn(association: RawAssociation): Promise<number> {
  association.write(
    dataPdu(3, commandSet({ 0x0002: verification, 0x0100: 0x30, 0x0110: 9, 0x0800: 0x0101 })),
  );
  const response = await within('C-ECHO-RSP', association.nextPdu());
  assert.equal(response?.[0], 4, 'C-ECHO-RSP');
  return statusOf(response!);
}

/** C-FIND on an association for it. @returns the final status */
export async function findOn(association: RawAssociation, identifier: Buffer): Promise<number> {
  const command = commandSet({ 0x0002: studyRootFind, 0x0100: 0x20, 0x0110: 5, 0x0700: 0, 0x0800: 1 });
  association.write(Buffer.concat([dataPdu(3, command), ...fragments(identifier)]));
  for (;;) {
    const response = await within('C-FIND-RSP', association.nextPdu(), 20_000);
    assert.equal(response?.[0], 4, 'C-FIND-RSP');
    // Identifiers of pending responses come as PDVs that are no commands.
    if ((response![11]! & 1) === 0) continue;
    const status = statusOf(response!);
    if (status !== 0xff00 && status !== 0xff01) return status;
  }
}

/** A data set in P-DATA-TFs that the edge takes. */
export function fragments(dataSet: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < dataSet.length || at === 0; at += 16_000) {
    parts.push(dataPdu(at + 16_000 >= dataSet.length ? 2 : 0, dataSet.subarray(at, at + 16_000)));
  }
  return parts;
}

export interface ObjectFacts {
  readonly sopInstanceUid: string;
  readonly studyInstanceUid?: string;
  readonly seriesInstanceUid?: string;
  readonly patientName?: string;
  /** Encoded elements that stand behind the others. */
  readonly more?: Buffer;
}

/** A small object with any text for its UIDs. */
export function objectOf(facts: ObjectFacts) {
  const dataSet = Buffer.concat([
    element('08001600', 'UI', secondaryCapture),
    element('08001800', 'UI', facts.sopInstanceUid),
    element('10001000', 'PN', facts.patientName ?? 'Hostile^Harry'),
    element('10002000', 'LO', 'HOSTILE-1'),
    element('20000d00', 'UI', facts.studyInstanceUid ?? '1.2.3.4'),
    element('20000e00', 'UI', facts.seriesInstanceUid ?? '1.2.3.4.5'),
    facts.more ?? Buffer.alloc(0),
  ]);
  return { sopClassUid: secondaryCapture, sopInstanceUid: facts.sopInstanceUid, dataSet };
}

/** One element, Explicit VR Little Endian; `tag` as it stands in the bytes. */
export function element(tag: string, vr: string, value: string): Buffer {
  const padded = Buffer.from(
    value.length % 2 === 0 ? value : `${value}${vr === 'UI' ? '\0' : ' '}`,
    'latin1',
  );
  const header = Buffer.concat([Buffer.from(tag, 'hex'), Buffer.from(vr), Buffer.alloc(2)]);
  header.writeUInt16LE(padded.length, 6);
  return Buffer.concat([header, padded]);
}

/** A PDU header that promises more than anybody sends, and a little of it. */
export function lengthBomb(type: number): Buffer {
  return Buffer.concat([Buffer.from([type, 0, 0xff, 0xff, 0xff, 0xf0]), Buffer.alloc(1_000)]);
}

export const abortPdu = pdu(7, Buffer.from([0, 0, 0, 0]));

/** How the edge ends a connection: with A-ABORT, or without a word. Other PDUs before that are passed by. */
export async function endOf(connection: RawConnection, ms = answerMs): Promise<'aborted' | 'closed'> {
  for (;;) {
    const next = await within('the end of the connection', connection.nextPdu(), ms);
    if (next === undefined) return 'closed';
    if (next[0] === 7) return 'aborted';
  }
}

/** No more PDUs, only the end. */
export async function assertEnds(connection: RawConnection, how: 'aborted' | 'closed', what: string) {
  assert.equal(await endOf(connection), how, what);
  if (how === 'aborted') assert.equal(await within('the end', connection.nextPdu()), undefined, what);
}

/** Waits, but not for ever: an edge that says nothing fails the test by name. */
export async function within<Result>(what: string, promise: Promise<Result>, ms = answerMs): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
