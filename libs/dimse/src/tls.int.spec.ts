import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import {
  associate,
  collect,
  ctStorage,
  explicitLittle,
  pattern,
  startAcceptor,
} from '../test/acceptor-under-test.ts';
import { folder, hasTool, run } from '../test/dcmtk.ts';

/** A key and a certificate for 127.0.0.1, signed by itself. */
async function certificate(t: TestContext): Promise<{ key: Buffer; cert: Buffer } | undefined> {
  if (!(await hasTool(t, 'openssl', 'openssl'))) return undefined;
  const path = await folder(t);
  const [key, cert] = [join(path, 'key.pem'), join(path, 'cert.pem')];
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const made = await run('openssl', ['req', '-x509', ...kind, '-keyout', key, '-out', cert, ...subject]);
  assert.equal(made.code, 0, made.output);
  return { key: await readFile(key), cert: await readFile(cert) };
}

describe('TLS', () => {
  it('[R6] carries an association with both sides certified, bytes unchanged', async (t) => {
    const own = await certificate(t);
    if (own === undefined) return;
    let received = Buffer.alloc(0) as Buffer;
    const { port } = await startAcceptor(t, {
      tls: { ...own, ca: own.cert, requestCert: true, rejectUnauthorized: true },
      handlers: {
        cStore: async ({ data }) => {
          received = await collect(data);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port, { tls: { ...own, ca: own.cert } });
    const dataSet = pattern(2_000_000);
    const object = {
      sopClassUid: ctStorage,
      sopInstanceUid: '1.2',
      transferSyntaxUid: explicitLittle,
      dataSet,
    };
    assert.equal((await association.cStore(object)).status, 0);
    assert.ok(received.equals(dataSet));
    await association.release();
  });

  it('refuses a peer whose certificate is not trusted, and one that does not speak it', async (t) => {
    const own = await certificate(t);
    if (own === undefined) return;
    const { port, events } = await startAcceptor(t, { tls: own, limits: { abortLingerMs: 20 } });
    await assert.rejects(associate(t, port, { tls: {} }), { code: 'DIMSE_ASSOCIATION_LOST' });
    await assert.rejects(
      associate(t, port),
      (error: { code?: string }) => error.code?.startsWith('DIMSE_') === true,
    );
    assert.ok(!events.some(({ type }) => type === 'accepted'));
  });
});
