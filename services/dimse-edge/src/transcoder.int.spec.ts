import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { fileMetaInformation, uids } from '@isthmus/dicom';
import { temporaryFolder } from '@isthmus/testing';
import { ctObject } from '../test/objects.ts';
import { createTranscoder } from './transcoder.ts';
import type { Transcoder } from './transcoder.ts';

interface Bench {
  readonly directory: string;
  readonly transcoder: Transcoder;
  store(name: string, dataSet: Buffer, transferSyntaxUid: string): Promise<string>;
}

async function bench(
  test: TestContext,
  options: Partial<Parameters<typeof createTranscoder>[0]> = {},
): Promise<Bench> {
  const [directory, stored] = [await temporaryFolder(test), await temporaryFolder(test)];
  const transcoder = createTranscoder({ directory, bytesMax: 1_000_000, timeoutMs: 20_000, ...options });
  test.after(() => transcoder.stop());
  return {
    directory,
    transcoder,
    store: async (name, dataSet, transferSyntaxUid) => {
      const path = join(stored, name);
      const { sopClassUid, sopInstanceUid } = ctObject({ instance: '1.2.3' });
      const meta = fileMetaInformation({
        sopClassUid,
        sopInstanceUid,
        transferSyntaxUid,
        sourceAeTitle: 'TEST',
      });
      await writeFile(path, Buffer.concat([meta, dataSet]));
      return path;
    },
  };
}

const explicit = uids.ExplicitVrLittleEndian;
const implicit = uids.ImplicitVrLittleEndian;
const object = (transferSyntaxUid: string): Buffer =>
  ctObject({ instance: '1.2.3' }, {}, transferSyntaxUid).dataSet;

describe('a transcoder', () => {
  it('converts a stored object into a file of its own, which can be removed', async (test) => {
    const { transcoder, store, directory } = await bench(test);
    const file = await store('one', object(explicit), explicit);
    const before = await readFile(file);
    const [there, back] = [
      await transcoder.transcode({ file, from: explicit, to: implicit }),
      await transcoder.transcode({ file, from: explicit, to: uids.DeflatedExplicitVrLittleEndian }),
    ];
    assert.ok((await readFile(there.file)).equals(object(implicit)));
    assert.ok((await readFile(back.file)).equals(object(uids.DeflatedExplicitVrLittleEndian)));
    assert.ok((await readFile(file)).equals(before));
    await Promise.all([there.remove(), back.remove()]);
    assert.deepEqual(await readdir(directory), []);
  });

  it('fails what is damaged, too large, or not there, and goes on', async (test) => {
    const { transcoder, store, directory } = await bench(test);
    const cut = await store('cut', object(explicit).subarray(0, -3), explicit);
    const large = await store('large', Buffer.alloc(1_000_001), explicit);
    for (const [file, why] of [
      [cut, /ends inside/],
      [large, /larger than 1000000 bytes/],
      ['/nowhere/object', /no such file/],
    ] as const) {
      const failing = transcoder.transcode({ file, from: explicit, to: implicit });
      await assert.rejects(failing, { code: 'TRANSCODE_FAILED', message: why });
    }
    const file = await store('one', object(explicit), explicit);
    await (await transcoder.transcode({ file, from: explicit, to: implicit })).remove();
    assert.deepEqual(await readdir(directory), []);
  });

  it('ends a thread that hangs, exits, breaks or eats memory: that object fails, the next one does not', async (test) => {
    const worker = new URL('../test/broken-worker.ts', import.meta.url);
    const { transcoder, directory } = await bench(test, { worker, timeoutMs: 3_000 });
    const task = { from: explicit, to: implicit };
    const good = transcoder.transcode({ file: 'good', ...task });
    const bad = ['hangs', 'exits', 'throws', 'eats memory'].map((file) =>
      assert.rejects(transcoder.transcode({ file, ...task }), { code: 'TRANSCODE_FAILED' }, file),
    );
    const last = transcoder.transcode({ file: 'good', ...task });
    await Promise.all(bad);
    for (const one of [await good, await last]) await one.remove();
    assert.deepEqual(await readdir(directory), []);
  });

  it('lets go of what waits when it is stopped', async (test) => {
    const worker = new URL('../test/broken-worker.ts', import.meta.url);
    const { transcoder } = await bench(test, { worker });
    const waiting = ['hangs', 'good'].map((file) =>
      assert.rejects(transcoder.transcode({ file, from: explicit, to: implicit }), {
        code: 'TRANSCODE_FAILED',
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    await transcoder.stop();
    await Promise.all(waiting);
  });
});
