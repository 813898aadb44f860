import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { element, fileMetaInformation, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { createLog } from '@isthmus/service-kit';
import { temporaryFolder } from '@isthmus/testing';
import { ctObject, dataSetOfFile } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { store } from '../test/store-objects.ts';
import { fileOf } from './object-store.ts';
import { createComparisons } from './same-content.ts';
import type { ComparedObject } from './same-content.ts';

const encodings = [
  uids.ExplicitVrLittleEndian,
  uids.ImplicitVrLittleEndian,
  uids.ExplicitVrBigEndian,
  uids.DeflatedExplicitVrLittleEndian,
];
const inside = (value: string): DataSetJson => ({
  '00090010': element('LO', 'SOMEBODY 1.0'),
  '00091002': element('SQ', { '00100020': element('LO', value) }),
});
const encoded = (transferSyntaxUid: string, value = 'X', instance = '1.2.3.4'): TestObject =>
  ctObject({ instance }, inside(value), transferSyntaxUid);

interface ConflictRow {
  readonly sopInstanceUid: string;
  readonly aside: string;
  readonly differences?: readonly string[];
  readonly notCompared?: string;
}

async function conflictsOf(edge: TestEdge): Promise<readonly ConflictRow[]> {
  const answer = await fetch(`${edge.edge.address}/api/v1/object-conflicts`);
  return ((await answer.json()) as { items: ConflictRow[] }).items;
}

async function receivedAs(edge: TestEdge, outcome: string): Promise<number> {
  const text = await (await fetch(`${edge.edge.address}/metrics`)).text();
  const line = text
    .split('\n')
    .find((one) => one.startsWith('isthmus_objects_received_total') && one.includes(`"${outcome}"`));
  return Number(line?.split(' ').at(-1) ?? 0);
}

describe('an object that comes again in another encoding', () => {
  it('[R6] is the same object: one file, one event, no conflict, whichever came first', async (test) => {
    const edge = await startTestEdge(test);
    for (const [number, first] of encodings.entries()) {
      const instance = `1.2.3.${number}`;
      const kept = encoded(first, 'X', instance);
      assert.equal(await store(edge, kept), 0x0000);
      for (const other of encodings) assert.equal(await store(edge, encoded(other, 'X', instance)), 0x0000);
      assert.deepEqual(dataSetOfFile(join(edge.directory, fileOf(instance))), kept.dataSet);
    }
    assert.deepEqual(await conflictsOf(edge), []);
    assert.equal((await edge.files()).length, encodings.length);
    await edge.federator.seen(encodings.length);
    assert.equal(await edge.eventLog.lastSequence('INSTANCES'), encodings.length);
    assert.equal(await receivedAs(edge, 'identical'), encodings.length * (encodings.length - 1));
  });

  it('is a conflict when a value inside a private sequence differs, and says which, but no value', async (test) => {
    const lines: string[] = [];
    const destination = { write: (line: string) => void lines.push(line) };
    const log = createLog({ service: 'dimse-edge', cluster: 'north', level: 'debug', destination });
    const edge = await startTestEdge(test, { log });
    const other = encoded(uids.ImplicitVrLittleEndian, 'SECRET');
    assert.equal(await store(edge, encoded(uids.ExplicitVrLittleEndian)), 0x0000);
    assert.equal(await store(edge, other), 0x0000);
    const [row, ...more] = await conflictsOf(edge);
    assert.deepEqual(more, []);
    assert.deepEqual(row?.differences, ['00091002[1].00100020']);
    assert.equal(row?.notCompared, undefined);
    assert.deepEqual(dataSetOfFile(join(edge.directory, row?.aside ?? '')), other.dataSet);
    const line = lines.find((one) => one.includes('other content'));
    assert.ok(line?.includes('00091002[1].00100020'), line);
    assert.ok(!lines.some((one) => one.includes('SECRET')));
  });

  it('is a conflict when it cannot be compared, and says why', async (test) => {
    const edge = await startTestEdge(test);
    const kept = encoded(uids.ExplicitVrLittleEndian);
    // The walker takes it; nobody can say what it means.
    const twice = Buffer.from('10002000' + '4c4f0200' + '4120', 'hex');
    const other = { ...kept, dataSet: Buffer.concat([kept.dataSet, twice, twice]) };
    assert.equal(await store(edge, kept), 0x0000);
    assert.equal(await store(edge, other), 0x0000);
    const [row] = await conflictsOf(edge);
    assert.equal(row?.notCompared, 'malformed');
    assert.equal(row?.differences, undefined);
  });

  it('makes the event of what is in place, when a crash had kept it from the log', async (test) => {
    const before = await startTestEdge(test, { cluster: 'south' });
    const kept = encoded(uids.ImplicitVrLittleEndian);
    assert.equal(await store(before, kept), 0x0000);
    await before.federator.seen(1);
    const told = before.federator.instances.get(kept.sopInstanceUid);
    const edge = await startTestEdge(test, { settings: { FSYNC: 'group' } });
    const file = fileOf(kept.sopInstanceUid);
    cpSync(join(before.directory, file), join(edge.directory, file));

    assert.equal(await store(edge, encoded(uids.ExplicitVrLittleEndian)), 0x0000);
    await edge.federator.seen(1);
    const fact = edge.federator.instances.get(kept.sopInstanceUid);
    assert.equal(fact?.dataSetChecksum, told?.dataSetChecksum);
    assert.equal(fact?.transferSyntaxUid, uids.ImplicitVrLittleEndian);
    assert.equal(fact?.fileBytes, told?.fileBytes);
  });

  it('waits for its turn, and is compared all the same', async (test) => {
    const edge = await startTestEdge(test, { settings: { COMPARISONS_MAX: '1' } });
    assert.equal(await store(edge, encoded(uids.ExplicitVrLittleEndian)), 0x0000);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => store(edge, encoded(encodings[index % encodings.length]!))),
    );
    assert.deepEqual(new Set(answers), new Set([0x0000]));
    assert.deepEqual(await conflictsOf(edge), []);
    assert.equal((await edge.files()).length, 1);
  });

  it('is a conflict when too many wait already', async (test) => {
    const settings = { COMPARISONS_MAX: '1', COMPARISONS_WAITING_MAX: '0' };
    const edge = await startTestEdge(test, { settings });
    const others = encodings.slice(1);
    const instances = Array.from({ length: 8 }, (_, index) => `1.2.9.${index}`);
    for (const instance of instances)
      assert.equal(await store(edge, encoded(encodings[0]!, 'X', instance)), 0x0000);
    await Promise.all(
      instances.map(async (instance, index) => {
        assert.equal(await store(edge, encoded(others[index % 3]!, 'X', instance)), 0x0000);
      }),
    );
    const conflicts = await conflictsOf(edge);
    assert.ok(conflicts.every(({ notCompared }) => notCompared === 'busy'));
    assert.equal(conflicts.length + (await receivedAs(edge, 'identical')), instances.length);
  });
});

describe('a comparison', () => {
  const valueBytes = 1024 ** 3;

  /** An object with one value of a GiB, which takes no room. */
  async function giant(test: TestContext): Promise<ComparedObject> {
    const path = join(await temporaryFolder(test), 'giant.dcm');
    const transferSyntaxUid = uids.ExplicitVrLittleEndian;
    const names = { sopClassUid: uids.CTImageStorage, sopInstanceUid: '1.2.3' };
    const meta = fileMetaInformation({ ...names, transferSyntaxUid, sourceAeTitle: 'NORTH' });
    const head = Buffer.from('e07f1000' + '4f420000' + '00000040', 'hex');
    await writeFile(path, Buffer.concat([meta, head]));
    const dataSetBytes = head.length + valueBytes;
    const fileBytes = meta.length + dataSetBytes;
    await truncate(path, fileBytes);
    return { file: { path }, transferSyntaxUid, fileBytes, dataSetBytes };
  }

  const comparisonsWith = (timeoutMs: number) =>
    createComparisons({
      store: { absolute: (file) => file },
      durable: { directory: async () => {} },
      runningMax: 1,
      waitingMax: 0,
      timeoutMs,
    });

  it('ends in time, and lets the next one have its turn', async (test) => {
    const [one, other] = [await giant(test), await giant(test)];
    const comparisons = comparisonsWith(10);
    const { signal } = new AbortController();
    for (let time = 0; time < 2; time++) {
      const found = await comparisons.compare(one, other.file.path, signal);
      assert.deepEqual(found, { outcome: 'not-compared', why: 'timeout' });
    }
  });

  it('ends with the association, whose reason it throws', async (test) => {
    const [one, other] = [await giant(test), await giant(test)];
    const association = new AbortController();
    const comparing = comparisonsWith(60_000).compare(one, other.file.path, association.signal);
    association.abort(new Error('the association was lost'));
    await assert.rejects(comparing, /association was lost/);
  });

  it('tells a file that cannot be read from content that differs', async (test) => {
    const one = await giant(test);
    const comparing = comparisonsWith(60_000).compare(
      one,
      `${one.file.path}.gone`,
      new AbortController().signal,
    );
    await assert.rejects(comparing, { code: 'OBJECT_STORE_FAILED' });
  });
});
