import { createHash } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import { decodeDataSet, encodeDataSet } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { acceptAssociations, requestAssociation } from '@isthmus/dimse';
import type { Acceptor, RequestedAssociation } from '@isthmus/dimse';

/**
 * A member of the federation that was written from docs/CONFORMANCE.md, Annex B, alone: UIDs and tags are spelled out
 * here, its blocks are others than ours, and it speaks Implicit VR. Of our libraries it uses associations and the data
 * set codec, which are the standard's.
 */

const linkedUpdateStorage = '2.25.22636134716226779298477430378341154241';
const linkStateFind = '2.25.315999470220272608173751444463038764288';
const linkedQueryFind = '2.25.66707304599610652474660014869859581768';
const studyRootMove = '1.2.840.10008.5.1.4.1.2.2.2';
const implicitVr = '1.2.840.10008.1.2';
const linkCreator = 'ISTHMUS LINK 1.0';

export interface BatchSeen {
  readonly sender: string;
  readonly items: readonly { readonly [member: string]: unknown }[];
}

export interface AnnexPeer {
  readonly port: number;
  /** Payloads of the linked updates that came. */
  readonly batches: readonly BatchSeen[];
  /** SOP Instance UIDs of the objects that came. */
  readonly objects: readonly string[];
  /** Link State payloads that came. */
  readonly linkStates: readonly { readonly [member: string]: unknown }[];
  stop(): Promise<void>;
}

interface Identity {
  readonly cluster: string;
  readonly aeTitle: string;
  readonly peer: string;
}

/** Listens as a linked cluster: answers Link State, takes updates and objects. */
export async function startAnnexPeer(self: Identity): Promise<AnnexPeer> {
  const batches: BatchSeen[] = [];
  const objects: string[] = [];
  const linkStates: { readonly [member: string]: unknown }[] = [];
  const acceptor: Acceptor = await acceptAssociations({
    host: '127.0.0.1',
    port: 0,
    aeTitles: [self.aeTitle],
    implementationClassUid: '2.25.99',
    implementationVersionName: 'ANNEX_B',
    admit: ({ contexts }) => ({
      accept: true,
      contexts: contexts.map(({ id, transferSyntaxUids }) => ({
        id,
        transferSyntaxUid: transferSyntaxUids.includes(implicitVr) ? implicitVr : transferSyntaxUids[0]!,
      })),
    }),
    handlers: {
      cFind: async function* (request) {
        if (request.sopClassUid !== linkStateFind) return { status: 0x0122 };
        linkStates.push(
          payloadOf(
            decodeDataSet(request.identifier, request.transferSyntaxUid),
          ) as (typeof linkStates)[number],
        );
        yield {
          status: 0xff00,
          identifier: encodeDataSet(linkStateIdentifier(self), request.transferSyntaxUid),
        };
        return { status: 0 };
      },
      cStore: async (request) => {
        const slices: Buffer[] = [];
        for await (const slice of request.data) slices.push(slice);
        if (request.sopClassUid === linkedUpdateStorage) {
          const dataSet = decodeDataSet(Buffer.concat(slices), request.transferSyntaxUid);
          batches.push(payloadOf(dataSet) as BatchSeen);
        } else objects.push(request.sopInstanceUid);
        return { status: 0 };
      },
    },
  });
  return {
    port: acceptor.address.port,
    batches,
    objects,
    linkStates,
    stop: () => acceptor.stop({ graceMs: 200 }),
  };
}

const incarnation = 'first life';
const linksSince = Date.now();

function linkStateIdentifier({ cluster, peer }: Identity): DataSetJson {
  const links = {
    [cluster]: { version: linksSince, neighbours: [peer], sendsTo: [peer], takesFrom: [peer] },
  };
  const payload = {
    format: 1,
    updateFormat: 1,
    cluster,
    incarnation,
    clock: Date.now(),
    capabilities: [],
    links,
    position: { sent: 0, folded: 0 },
    somethingNew: { later: true },
  };
  return {
    '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
    '00710042': { vr: 'LO', Value: [linkCreator] },
    '00714201': { vr: 'US', Value: [1] },
    '00714202': { vr: 'LO', Value: [cluster] },
    '00714203': { vr: 'UI', Value: [uidOf(incarnation)] },
    '0071420A': { vr: 'CS', Value: ['JSON'] },
    '0071420B': { vr: 'UT', Value: [JSON.stringify(payload)] },
  };
}

/** B.4.3: `2.25.` and the first 128 bits of the SHA-256. */
function uidOf(text: string | Buffer): string {
  return `2.25.${BigInt(`0x${sha256(text).slice(0, 32)}`)}`;
}

function sha256(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The JSON of an update or a link state, length and hash checked where they are given. */
function payloadOf(dataSet: DataSetJson): unknown {
  const block = Object.keys(dataSet).find(
    (tag) => /^007100[1-9A-F][0-9A-F]$/.test(tag) && dataSet[tag]?.Value?.[0] === linkCreator,
  );
  const read = (byte: string): DataSetJson[string] | undefined => dataSet[`0071${block?.slice(6)}${byte}`];
  const isDeflated = read('0A')?.Value?.[0] === 'DEFLATE';
  const json = isDeflated
    ? inflateRawSync(Buffer.from(read('0C')?.InlineBinary ?? '', 'base64'))
    : Buffer.from(String(read('0B')?.Value?.[0]), 'utf8');
  const hash = read('0E')?.Value?.[0];
  if (hash !== undefined && hash !== sha256(json)) throw new Error('the SHA-256 differs');
  return JSON.parse(json.toString('utf8'));
}

/** Calls an Isthmus cluster as the linked cluster. */
export function callAs(self: Identity, port: number, calledAeTitle: string): Promise<RequestedAssociation> {
  const classes = [linkStateFind, linkedUpdateStorage, linkedQueryFind, studyRootMove];
  return requestAssociation({
    host: '127.0.0.1',
    port,
    callingAeTitle: self.aeTitle,
    calledAeTitle,
    contexts: classes.map((sopClassUid) => ({ sopClassUid, transferSyntaxUids: [implicitVr] })),
  });
}

/** Sends a batch of items (B.4.1). @returns the status word */
export async function sendUpdate(
  association: RequestedAssociation,
  self: Identity,
  items: readonly object[],
): Promise<number> {
  const batch = { format: 1, sender: self.cluster, incarnation, after: 0, upto: 0, items };
  const json = Buffer.from(JSON.stringify(batch), 'utf8');
  const sopInstanceUid = uidOf(json);
  const dataSet: DataSetJson = {
    '00080005': { vr: 'CS', Value: ['ISO_IR 192'] },
    '00080018': { vr: 'UI', Value: [sopInstanceUid] },
    '00710042': { vr: 'LO', Value: [linkCreator] },
    '00714201': { vr: 'US', Value: [1] },
    '00714202': { vr: 'LO', Value: [self.cluster] },
    '0071420A': { vr: 'CS', Value: ['JSON'] },
    '0071420B': { vr: 'UT', Value: [json.toString('utf8')] },
    '0071420D': { vr: 'UL', Value: [json.length] },
    '0071420E': { vr: 'LO', Value: [sha256(json)] },
  };
  const { status } = await association.cStore({
    sopClassUid: linkedUpdateStorage,
    sopInstanceUid,
    transferSyntaxUid: implicitVr,
    dataSet: encodeDataSet(dataSet, implicitVr),
  });
  return status;
}

/** An event of this cluster about a study, with one stamp for all its registers (B.4.4 to B.4.6). */
export function eventOf(
  self: Identity,
  type: string,
  study: string,
  registers: (stamped: (value: unknown, rank: number) => object) => object,
): object {
  const hlc = (BigInt(Date.now()) << 16n).toString(16).padStart(16, '0');
  const stamped = (value: unknown, rank: number): object => ({
    t: 'lww',
    value,
    rank,
    hlc,
    origin: self.cluster,
  });
  return {
    kind: 'event',
    event: {
      id: crypto.randomUUID(),
      type,
      source: `${self.cluster}/annex`,
      subject: study,
      time: new Date().toISOString(),
      origin: self.cluster,
      hlc,
      path: [self.cluster],
      v: 1,
      data: { aggregate: 'study', registers: registers(stamped) },
    },
  };
}

/** Rows of a linked query for a study, and the outcomes that came last. */
export async function linkedQuery(
  association: RequestedAssociation,
  study: string,
): Promise<{ readonly rows: readonly DataSetJson[]; readonly outcomes: DataSetJson | undefined }> {
  const identifier: DataSetJson = {
    '00080052': { vr: 'CS', Value: ['STUDY'] },
    '0020000D': { vr: 'UI', Value: [study] },
  };
  const responses = association.cFind({ sopClassUid: linkedQueryFind, identifier });
  const rows: DataSetJson[] = [];
  for await (const row of responses) rows.push(decodeDataSet(row, responses.transferSyntaxUid));
  return { rows: rows.filter((row) => row['0020000D']), outcomes: rows.find((row) => !row['0020000D']) };
}

/** C-MOVE of a study to this cluster. @returns the status word */
export async function fetchStudy(
  association: RequestedAssociation,
  self: Identity,
  study: string,
): Promise<number> {
  const { status } = await association.cMove({
    sopClassUid: studyRootMove,
    destinationAeTitle: self.aeTitle,
    identifier: {
      '00080052': { vr: 'CS', Value: ['STUDY'] },
      '0020000D': { vr: 'UI', Value: [study] },
    },
  });
  return status;
}
