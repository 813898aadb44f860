import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { temporaryFolder } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';

export interface Certificate {
  readonly key: Buffer;
  readonly cert: Buffer;
  readonly keyFile: string;
  readonly certFile: string;
}

/** Why tests with certificates are skipped. */
export const opensslMissing: string | false = missingTool('openssl', 'openssl');

/** A key and a certificate for 127.0.0.1, signed by itself. */
export async function certificate(t: TestContext, commonName = '127.0.0.1'): Promise<Certificate> {
  const path = await temporaryFolder(t);
  const [keyFile, certFile] = [join(path, 'key.pem'), join(path, 'cert.pem')];
  const names = 'subjectAltName=IP:127.0.0.1,DNS:ct1.radiology.example';
  const subject = ['-subj', `/CN=${commonName}/O=Test`, '-addext', names];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const made = await runTool('openssl', [
    'req',
    '-x509',
    ...kind,
    '-keyout',
    keyFile,
    '-out',
    certFile,
    ...subject,
  ]);
  assert.equal(made.code, 0, made.output);
  return { key: await readFile(keyFile), cert: await readFile(certFile), keyFile, certFile };
}
