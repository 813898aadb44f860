import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { checkServerIdentity, createSecureContext } from 'node:tls';
import type { ConnectionOptions, TlsOptions } from 'node:tls';
import { bcp195, certificateFacts } from '@isthmus/dimse';
import { certificateMismatch } from '@isthmus/domain';
import type { Configuration, Station } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import type { DimseEdgeConfig } from './config.ts';
import { TlsFilesError } from './errors.ts';
import { every } from './every.ts';

/** How long before its last day a certificate of ours is warned of. */
const warnBeforeMs = 30 * 24 * 3_600_000;
/** Keys, certificates and lists of authorities are smaller. */
const fileBytesMax = 4 * 1024 * 1024;

/** Who we are over TLS, and whom we believe. */
interface TlsFiles {
  readonly key: Buffer;
  readonly cert: Buffer;
  readonly ca: Buffer;
}

export interface EdgeTls {
  /** Of a port that peers come in on. */
  accepting(): TlsOptions;
  /** Towards a station: who answers must be the station, by its certificates or else by its host name. */
  calling(station: Station): ConnectionOptions;
  /** Tells of new files, that are known to be usable. */
  onReload(listener: () => void): void;
  stop(): void;
}

type TlsSettings = Pick<
  DimseEdgeConfig,
  | 'DICOM_TLS_KEY_FILE'
  | 'DICOM_TLS_CERTIFICATE_FILE'
  | 'DICOM_TLS_AUTHORITIES_FILE'
  | 'DICOM_TLS_CLIENT_CERTIFICATE'
  | 'DICOM_TLS_RELOAD_EVERY_MS'
>;

/**
 * Reads key, certificate and authorities, and reads them again for as long as the edge runs: files that change are used
 * for associations from then on, those that are open go on. What cannot be used is logged, and what was before
 * stays. Undefined when none of the files is set.
 *
 * @param parts.onExpiry - Told the last moment of our certificate, at each (re)load.
 * @throws {TlsFilesError} Some of the files are set and others not, or one cannot be read or used.
 */
export async function openTls(
  settings: TlsSettings,
  parts: {
    readonly configuration: () => Configuration;
    readonly log: Log;
    readonly onExpiry: (validTo: Date) => void;
    readonly now: () => Date;
  },
): Promise<EdgeTls | undefined> {
  const paths = pathsOf(settings);
  if (paths === undefined) return undefined;
  let files = await readFiles(paths);
  tellOfCertificate(files, 'TLS is on', parts);

  const listeners: (() => void)[] = [];
  let lastAge = ageOf(files, parts.now());
  let lastFault = '';
  const reload = async (): Promise<void> => {
    try {
      const found = await readFiles(paths);
      lastFault = '';
      if (isSame(found, files)) {
        // It grows old while nothing changes.
        const age = ageOf(files, parts.now());
        if (age !== lastAge) tellOfCertificate(files, 'TLS', parts);
        lastAge = age;
        return;
      }
      files = found;
      lastAge = ageOf(files, parts.now());
      for (const listener of listeners) listener();
      tellOfCertificate(files, 'TLS: new files are used from now on', parts);
    } catch (error) {
      const { message } = error as Error;
      // Once, not every few seconds until somebody comes.
      if (message !== lastFault)
        parts.log.error({ err: error }, 'TLS: the files cannot be used; those before stay');
      lastFault = message;
    }
  };
  const stopReloading = every(settings.DICOM_TLS_RELOAD_EVERY_MS, reload);

  return {
    accepting: () => ({
      ...files,
      requestCert: settings.DICOM_TLS_CLIENT_CERTIFICATE === 'required',
      rejectUnauthorized: true,
    }),
    calling: (station) => ({
      ...files,
      checkServerIdentity: (host, certificate) => {
        const mismatch = certificateMismatch(parts.configuration(), station, certificateFacts(certificate));
        if (mismatch !== undefined) return new Error(mismatch);
        return station.certificates?.length ? undefined : checkServerIdentity(host, certificate);
      },
    }),
    onReload: (listener) => void listeners.push(listener),
    stop: stopReloading,
  };
}

type Paths = { readonly [File in keyof TlsFiles]: string };

function pathsOf(settings: TlsSettings): Paths | undefined {
  const named = {
    DICOM_TLS_KEY_FILE: settings.DICOM_TLS_KEY_FILE,
    DICOM_TLS_CERTIFICATE_FILE: settings.DICOM_TLS_CERTIFICATE_FILE,
    DICOM_TLS_AUTHORITIES_FILE: settings.DICOM_TLS_AUTHORITIES_FILE,
  };
  const missing = Object.keys(named).filter((name) => named[name as keyof typeof named] === undefined);
  if (missing.length === 3) return undefined;
  if (missing.length > 0) throw new TlsFilesError(`${missing.join(' and ')} not set`);
  const { DICOM_TLS_KEY_FILE: key, DICOM_TLS_CERTIFICATE_FILE: cert, DICOM_TLS_AUTHORITIES_FILE: ca } = named;
  return { key, cert, ca } as Paths;
}

async function readFiles(paths: Paths): Promise<TlsFiles> {
  const read = async (path: string): Promise<Buffer> => {
    const bytes = await readFile(path).catch((cause: unknown) => {
      throw new TlsFilesError(`${path} cannot be read`, cause);
    });
    if (bytes.length > fileBytesMax) throw new TlsFilesError(`${path} is larger than ${fileBytesMax} bytes`);
    return bytes;
  };
  const [key, cert, ca] = await Promise.all([read(paths.key), read(paths.cert), read(paths.ca)]);
  try {
    createSecureContext({ ...bcp195, key, cert, ca });
    // A list without a certificate is no error to OpenSSL, but nobody would be believed: this throws.
    new X509Certificate(ca);
    return { key, cert, ca };
  } catch (cause) {
    const what = `${paths.key}, ${paths.cert} and ${paths.ca} cannot be used: ${(cause as Error).message}`;
    throw new TlsFilesError(what, cause);
  }
}

function isSame(one: TlsFiles, other: TlsFiles): boolean {
  return one.key.equals(other.key) && one.cert.equals(other.cert) && one.ca.equals(other.ca);
}

/** Says whose certificate it is and how long it holds; peers refuse one that has expired. */
function tellOfCertificate(
  { cert }: TlsFiles,
  message: string,
  parts: { readonly log: Log; readonly onExpiry: (validTo: Date) => void; readonly now: () => Date },
): void {
  const { subject, validTo, fingerprint256: fingerprintSha256 } = new X509Certificate(cert);
  const last = new Date(validTo);
  parts.onExpiry(last);
  const facts = { subject: subject.replaceAll('\n', ','), fingerprintSha256, validTo: last.toISOString() };
  const age = ageOf({ cert }, parts.now());
  if (age === 'valid') parts.log.info(facts, message);
  else if (age === 'expires soon') parts.log.warn(facts, `${message}: our certificate expires soon`);
  else parts.log.error(facts, `${message}: our certificate has expired, peers will refuse it`);
}

function ageOf({ cert }: Pick<TlsFiles, 'cert'>, now: Date): 'valid' | 'expires soon' | 'expired' {
  const leftMs = Date.parse(new X509Certificate(cert).validTo) - now.getTime();
  if (leftMs <= 0) return 'expired';
  return leftMs > warnBeforeMs ? 'valid' : 'expires soon';
}
