import { transferSyntaxes, uids } from '@isthmus/dicom';
import { certificateMismatch, stationOfAeTitle } from '@isthmus/domain';
import type { Configuration, Station } from '@isthmus/domain';
import type { AdmitRequest, AdmitResult, AdmittedContext, OfferedContext } from '@isthmus/dimse';

export type AdmissionMode = 'open-loopback' | 'stations';

/** What an abstract syntax is to this edge. */
export type SopClassDuty =
  'verification' | 'find' | 'move' | 'get' | 'commitment' | 'availability' | 'linked' | 'storage' | 'none';

/** A-ASSOCIATE-RJ, PS3.8 Table 9-21: rejected permanently by the service user. */
const rejectedPermanent = 1;
const byServiceUser = 1;
const callingAeTitleNotRecognised = 3;
/** A-ASSOCIATE-AC, PS3.8 Table 9-18. */
const abstractSyntaxNotSupported = 3;
const transferSyntaxesNotSupported = 4;

const duties: ReadonlyMap<string, SopClassDuty> = new Map([
  [uids.VerificationSopClass, 'verification'],
  [uids.PatientRootFind, 'find'],
  [uids.StudyRootFind, 'find'],
  [uids.PatientRootMove, 'move'],
  [uids.StudyRootMove, 'move'],
  [uids.PatientRootGet, 'get'],
  [uids.StudyRootGet, 'get'],
  [uids.StorageCommitmentPushModel, 'commitment'],
  [uids.InstanceAvailabilityNotification, 'availability'],
  [uids.IsthmusLinkedUpdateStorage, 'linked'],
  [uids.IsthmusLinkedQueryFind, 'linked'],
  [uids.IsthmusLinkStateFind, 'linked'],
]);

/** Who is not configured could not be told later, or may not have objects. */
const forStations: ReadonlySet<SopClassDuty> = new Set(['get', 'commitment', 'availability']);

/** Identifiers and linked updates are read here, so only what we can read is accepted; explicit first. */
const readableTransferSyntaxes = [
  uids.ExplicitVrLittleEndian,
  uids.ImplicitVrLittleEndian,
  uids.ExplicitVrBigEndian,
] as const;

/**
 * The standard's storage classes outside 1.2.840.10008.5.1.4.1.1: RT beams delivery instruction, protocols and
 * palettes, implants, and the retired hardcopy and stored print ones (PS3.6 Table A-1).
 */
const storageElsewhere =
  /^1\.2\.840\.10008\.5\.1\.(?:4\.34\.(?:7|10)|4\.(?:38|39|43|44|45)\.1|1\.(?:27|29|30))$/;
/** Query, retrieve and creation services that the standard numbers among the storage classes. */
const notStorage = /^1\.2\.840\.10008\.5\.1\.4\.1\.1\.(?:200\.[4-6]|201\.[2-6])$/;

/**
 * Sorts an abstract syntax. Everything that is not a service of ours is storage, private classes included, except what
 * the standard itself gives another service (worklists, print …): a peer that was promised
 * those would wait for answers that never come.
 */
export function dutyOf(sopClassUid: string): SopClassDuty {
  const duty = duties.get(sopClassUid);
  if (duty) return duty;
  if (!sopClassUid.startsWith('1.2.840.10008.')) return 'storage';
  const numberedAsStorage =
    sopClassUid.startsWith('1.2.840.10008.5.1.4.1.1.') && !notStorage.test(sopClassUid);
  return numberedAsStorage || storageElsewhere.test(sopClassUid) ? 'storage' : 'none';
}

/**
 * Decides on an association request (PS3.8 9.3). Pure: the configuration and the addresses of host names are arguments.
 *
 * - `stations`: the calling AE title is a configured station (or one it `alsoSendsAs`) and calls from its address.
 * - `open-loopback`: the same, and besides any AE title from a loopback address.
 *
 * A station with `tls` comes by TLS alone, and shows one of its certificates (see `certificateMismatch`), whatever the mode.
 *
 * Each storage context is accepted with the first transfer syntax offered, since objects are kept as sent; one that
 * PS3.6 does not know is passed over, since not even the UIDs of such an object could be read. The three private
 * classes are for stations of kind `cluster` alone, and C-GET for configured stations: as with C-MOVE, objects leave to
 * nobody else; storage commitment and availability, too. A peer may take objects of every storage class that it proposes to
 * (role SCP, for C-GET), and report on storage commitment that we asked for. Called AE titles
 * are checked by the acceptor. Stations are known peers, which have places of their own (see `associationLimits`).
 *
 * @param options.addressesOf - Addresses known for a station's host; an empty list matches nobody.
 */
export function admit(
  request: AdmitRequest,
  options: {
    readonly mode: AdmissionMode;
    readonly configuration: Configuration;
    readonly addressesOf: (host: string) => readonly string[];
  },
): AdmitResult {
  const address = plainAddress(request.remoteAddress);
  const named = stationOfAeTitle(options.configuration, request.callingAeTitle);
  const station = named && isAt(named, address, options.addressesOf) ? named : undefined;
  const open = options.mode === 'open-loopback' && isLoopback(address);
  if (!station && !open) {
    return rejected(named ? 'not from the address of this station' : 'no station of this AE title');
  }
  const mismatch = station && tlsMismatch(request, station, options.configuration);
  if (mismatch !== undefined) return rejected(mismatch);
  return {
    accept: true,
    isKnown: station !== undefined,
    contexts: request.contexts.map((context) => admitContext(context, station)),
    roles: request.roles.filter((role) => ['storage', 'commitment'].includes(dutyOf(role.sopClassUid))),
  };
}

function rejected(why: string): AdmitResult & { readonly accept: false } {
  return {
    accept: false,
    result: rejectedPermanent,
    source: byServiceUser,
    reason: callingAeTitleNotRecognised,
    why,
  };
}

/** Why a connection is not one that the station would make, by how it is secured. */
function tlsMismatch(
  { tls }: AdmitRequest,
  station: Station,
  configuration: Configuration,
): string | undefined {
  if (tls === undefined) return station.tls ? 'this station comes by TLS alone' : undefined;
  if (tls.peerCertificate) return certificateMismatch(configuration, station, tls.peerCertificate);
  return station.certificates?.length ? 'this station has certificates, and showed none' : undefined;
}

function admitContext(context: OfferedContext, station: Station | undefined): AdmittedContext {
  const duty = dutyOf(context.sopClassUid);
  const refused =
    duty === 'none' ||
    (forStations.has(duty) && station === undefined) ||
    (duty === 'linked' && station?.kind !== 'cluster');
  if (refused) return { id: context.id, reason: abstractSyntaxNotSupported };
  const transferSyntaxUid =
    duty === 'storage'
      ? context.transferSyntaxUids.find((uid) => transferSyntaxes.has(uid))
      : readableTransferSyntaxes.find((uid) => context.transferSyntaxUids.includes(uid));
  if (transferSyntaxUid === undefined) return { id: context.id, reason: transferSyntaxesNotSupported };
  return { id: context.id, transferSyntaxUid };
}

function isAt(station: Station, address: string, addressesOf: (host: string) => readonly string[]): boolean {
  if (station.host === address) return true;
  if (isLoopback(address) && isLoopback(station.host)) return true;
  return addressesOf(station.host).some((one) => plainAddress(one) === address);
}

/** IPv4 addresses that came in on an IPv6 socket are written `::ffff:10.0.0.1`. */
function plainAddress(address: string): string {
  return address.toLowerCase().startsWith('::ffff:') ? address.slice(7) : address;
}

/** The machine itself: 127.0.0.0/8, ::1, and `localhost`. */
export function isLoopback(host: string): boolean {
  return host === '::1' || host === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
