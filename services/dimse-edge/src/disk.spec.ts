import assert from 'node:assert/strict';
import fs, { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { diskOf } from './disk.ts';
import type { DiskCalls } from './disk.ts';

const pieces = [Buffer.from('abc'), Buffer.from('defg'), Buffer.from('h')];

function folder(test: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-disk-'));
  test.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

describe('the disk of an object store', () => {
  it('writes all that it is given, also when the disk takes a part at a time', async (test) => {
    const directory = folder(test);
    const calls: DiskCalls = {
      ...fs,
      writevSync: (file, slices) => fs.writeSync(file, slices[0] as Buffer, 0, 1),
    };
    const disk = diskOf({ calls });
    test.after(() => disk.close());
    const file = await disk.make(join(directory, 'made', 'on', 'the', 'way'));
    await disk.append(file, pieces);
    assert.equal(readFileSync(file.path, 'latin1'), 'abcdefgh');
    file.close();
  });

  it('takes a disk that takes nothing for full', async (test) => {
    const disk = diskOf({ calls: { ...fs, writevSync: () => 0 } });
    test.after(() => disk.close());
    const file = await disk.make(folder(test));
    await assert.rejects(disk.append(file, pieces), { code: 'OBJECT_STORE_FULL' });
    await disk.drop(file);
  });

  it('gives a name only when nobody has it', async (test) => {
    const directory = folder(test);
    const disk = diskOf();
    test.after(() => disk.close());
    const file = await disk.make(directory);
    writeFileSync(join(directory, 'old'), 'old');
    assert.equal(await disk.link(file.path, join(directory, 'old')), 'taken');
    assert.equal(await disk.link(file.path, join(directory, 'new')), 'linked');
    assert.equal(readFileSync(join(directory, 'old'), 'latin1'), 'old');
    await assert.rejects(disk.link(file.path, join(directory, 'no', 'such')), { code: 'ENOENT' });
    await disk.drop(file);
    await disk.close();
    assert.deepEqual(readdirSync(directory).sort(), ['new', 'old']);
  });

  it('closes a file once: its number may be another file by then', async (test) => {
    const disk = diskOf({ now: () => 0 });
    test.after(() => disk.close());
    const directory = folder(test);
    const first = await disk.make(directory);
    const { descriptor } = first;
    first.close();
    const other = fs.openSync(join(directory, 'other'), 'w');
    assert.equal(other, descriptor);
    await disk.drop(first);
    assert.throws(() => first.descriptor);
    assert.equal(fs.writeSync(other, 'still open'), 10);
    fs.closeSync(other);
  });

  it('leaves a disk that was slow to threads, longer each time, and comes back to it', async (test) => {
    const directory = folder(test);
    let clock = 0;
    let callMs = 1;
    let inPlace = 0;
    const calls: DiskCalls = {
      ...fs,
      linkSync: (from, to) => {
        inPlace += 1;
        clock += callMs;
        fs.linkSync(from, to);
      },
    };
    const disk = diskOf({ calls, now: () => clock });
    test.after(() => disk.close());
    const file = await disk.make(directory);
    let links = 0;
    const doneInPlace = async (): Promise<boolean> => {
      const before = inPlace;
      assert.equal(await disk.link(file.path, join(directory, `link${(links += 1)}`)), 'linked');
      return inPlace > before;
    };
    assert.equal(await doneInPlace(), true);
    callMs = 200;
    assert.equal(await doneInPlace(), true, 'that was slow');
    assert.equal(await doneInPlace(), false);
    clock += 500;
    assert.equal(await doneInPlace(), true, 'slow again');
    clock += 500;
    assert.equal(await doneInPlace(), false);
    clock += 500;
    callMs = 1;
    assert.equal(await doneInPlace(), true);
    assert.equal(await doneInPlace(), true);
    file.close();
  });

  it('makes files ahead where that takes long, and leaves none behind', async (test) => {
    const directory = folder(test);
    let clock = 0;
    let made = 0;
    const calls: DiskCalls = {
      ...fs,
      openSync: (path, flags, mode) => {
        made += 1;
        clock += 1;
        return fs.openSync(path, flags, mode);
      },
    };
    const disk = diskOf({ calls, now: () => clock });
    mkdirSync(join(directory, 'incoming'));
    const incoming = join(directory, 'incoming');
    const files = [await disk.make(incoming)];
    for (let isAhead = false; !isAhead;) {
      await new Promise((resolve) => setImmediate(resolve));
      const before = made;
      files.push(await disk.make(incoming));
      isAhead = made === before;
    }
    const last = files.at(-1)!;
    await disk.append(last, pieces);
    assert.equal(readFileSync(last.path, 'latin1'), 'abcdefgh');
    for (const file of files) await disk.drop(file);
    await disk.close();
    assert.deepEqual(readdirSync(incoming), []);
  });
});
