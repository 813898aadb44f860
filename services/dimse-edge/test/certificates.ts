import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';

/** Why tests with certificates are skipped. */
export const opensslMissing: string | false = missingTool('openssl', 'openssl');

export interface Issued {
  readonly keyFile: string;
  readonly certFile: string;
  readonly key: Buffer;
  readonly cert: Buffer;
  /** Pairs with colons. */
  readonly fingerprintSha256: string;
}

export interface Authority {
  readonly caFile: string;
  readonly ca: Buffer;
  /** A certificate for 127.0.0.1. @param options.days - -1: it expired yesterday. */
  issue(commonName: string, options?: { readonly days?: number; readonly host?: string }): Promise<Issued>;
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

async function openssl(...args: readonly string[]): Promise<void> {
  const { code, output } = await runTool('openssl', args);
  if (code !== 0) throw new Error(output);
}

/** An authority that issues certificates; its files go with the test. */
export async function createAuthority(test: TestContextLike, name = 'Hospital CA'): Promise<Authority> {
  const folder = await temporaryFolder(test);
  const [caKey, caFile] = [join(folder, 'ca.key'), join(folder, 'ca.pem')];
  await openssl('req', '-x509', ...newKey, '-keyout', caKey, '-out', caFile, '-subj', `/CN=${name}`);
  let issued = 0;
  return {
    caFile,
    ca: await readFile(caFile),
    issue: async (commonName, { days = 30, host = 'IP:127.0.0.1' } = {}) => {
      issued += 1;
      const [keyFile, certFile, request] = ['key', 'pem', 'csr'].map((kind) =>
        join(folder, `${issued}.${kind}`),
      ) as [string, string, string];
      const subject = ['-subj', `/CN=${commonName}/O=Test`, '-addext', `subjectAltName=${host}`];
      await openssl('req', ...newKey, '-keyout', keyFile, '-out', request, ...subject);
      const signed = ['-CA', caFile, '-CAkey', caKey, '-set_serial', String(issued), '-days', String(days)];
      await openssl('x509', '-req', '-in', request, ...signed, '-copy_extensions', 'copy', '-out', certFile);
      const [key, cert] = await Promise.all([readFile(keyFile), readFile(certFile)]);
      return { keyFile, certFile, key, cert, fingerprintSha256: new X509Certificate(cert).fingerprint256 };
    },
  };
}
