import assert from 'node:assert/strict';
import fs, { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, it } from 'node:test';
import { decodeDataSet, element, HeaderWalker, readFileMeta, stringOf, tags, uids } from '@isthmus/dicom';
import { dataPdu, eventually, openRawAssociation, storeCommand } from '@isthmus/testing';
import { missingTool, runTool } from '@isthmus/testing/dcmtk';
import { ctObject, dataSetOfFile, sampleFiles, samplesMissing } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { store } from '../test/store-objects.ts';

describe('C-STORE', () => {
  it('[R6] keeps the bytes of the data set as a raw sender sent them, and appends one fact', async (test) => {
    const edge = await startTestEdge(test, { settings: { FSYNC: 'group' } });
    const object = ctObject(
      {},
      { '00091001': element('LO', 'private'), '00090010': element('LO', 'SOMEBODY 1.0') },
    );

    assert.equal(await store(edge, object), 0x0000);

    await edge.federator.seen(1);
    const fact = edge.federator.instances.get(object.sopInstanceUid);
    assert.ok(fact);
    const path = join(edge.directory, fact.file);
    assert.deepEqual(dataSetOfFile(path), object.dataSet);
    assert.equal(readFileSync(path).length, fact.fileBytes);
    assert.equal(readFileMeta(readFileSync(path)).transferSyntaxUid, object.transferSyntaxUid);
    assert.equal(fact.studyInstanceUid, object.studyInstanceUid);
    assert.equal(stringOf(fact.header, tags.PatientName), 'Doe^Jane');
    assert.equal(fact.provisional, false);
    assert.equal(fact.pulledFrom, undefined);
  });

  it('stores the same object twice as one file and one event', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({});
    assert.equal(await store(edge, object), 0x0000);
    assert.equal(await store(edge, object), 0x0000);
    await edge.restart();
    assert.equal(await store(edge, object), 0x0000);
    await edge.federator.seen(1);
    assert.equal(await edge.eventLog.lastSequence('INSTANCES'), 1);
    assert.equal((await edge.files()).length, 1);
  });

  it('keeps other bytes under a known SOP Instance UID aside and shows them', async (test) => {
    const edge = await startTestEdge(test);
    const first = ctObject({ instance: '1.2.3.4' });
    const other = ctObject({ instance: '1.2.3.4' }, { [tags.PatientName]: element('PN', 'Doe^John') });
    assert.equal(await store(edge, first), 0x0000);
    assert.equal(await store(edge, other), 0x0000);
    assert.equal(await store(edge, other), 0x0000);

    const answer = await fetch(`${edge.edge.address}/api/v1/object-conflicts`);
    const { items } = (await answer.json()) as {
      items: { sopInstanceUid: string; kept: string; aside: string }[];
    };
    assert.equal(items.length, 1);
    assert.equal(items[0]?.sopInstanceUid, '1.2.3.4');
    assert.deepEqual(dataSetOfFile(join(edge.directory, items[0]?.kept ?? '')), first.dataSet);
    assert.deepEqual(dataSetOfFile(join(edge.directory, items[0]?.aside ?? '')), other.dataSet);
    assert.equal(await edge.eventLog.lastSequence('INSTANCES'), 1);
  });

  it('refuses what has no identity, or another one than its command, and leaves nothing', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({});
    const without = (tag: string): TestObject => ({
      ...ctObject({}, { [tag]: element('UI') }),
      sopInstanceUid: '1.2.9',
    });
    assert.equal(await store(edge, without(tags.SOPInstanceUID)), 0xc000);
    assert.equal(await store(edge, { ...object, sopInstanceUid: '1.2.9' }), 0xa900);
    const otherClass = ctObject({}, { [tags.SOPClassUID]: element('UI', uids.MRImageStorage) });
    assert.equal(await store(edge, otherClass), 0xa900);
    for (const tag of [tags.StudyInstanceUID, tags.SeriesInstanceUID]) {
      const bad = ctObject({}, { [tag]: element('UI', '1.2/../../etc') });
      assert.equal(await store(edge, bad), 0xc000);
    }
    for (const tag of [tags.SOPInstanceUID, tags.StudyInstanceUID, tags.SeriesInstanceUID]) {
      const two = ctObject({ instance: '1.2.9' }, { [tag]: element('UI', '1.2.9', '1.2.10') });
      assert.equal(await store(edge, two), 0xc000, `two values in ${tag}`);
    }
    for (const uid of ['..', '.', '1..2', '.1', '1.']) {
      const study = ctObject({ instance: '1.2.9' }, { [tags.StudyInstanceUID]: element('UI', uid) });
      assert.equal(await store(edge, study), 0xc000, uid);
      assert.equal(await store(edge, { ...object, sopInstanceUid: uid }), 0x0117, uid);
    }
    assert.equal(await store(edge, { ...object, dataSet: object.dataSet.subarray(0, -100) }), 0xc000);
    assert.deepEqual(await edge.files(), []);
    assert.equal(await store(edge, object), 0x0000);
  });

  it('[R6] takes UIDs with leading zeros, which are common in old objects', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({ study: '1.02.3', series: '1.02.03.4', instance: '1.02.03.0004' });
    assert.equal(await store(edge, object), 0x0000);
    await edge.federator.seen(1);
    assert.equal(edge.federator.instances.get('1.02.03.0004')?.studyInstanceUid, '1.02.3');
  });

  it('refuses a command without SOP Instance UID with 0117', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({});
    const association = await openRawAssociation({
      port: edge.edge.dicomPort,
      calledAeTitle: edge.aeTitle,
      abstractSyntax: object.sopClassUid,
      transferSyntax: object.transferSyntaxUid,
    });
    association.write(dataPdu(3, storeCommand(object.sopClassUid, undefined, 1)));
    association.write(dataPdu(2, object.dataSet));
    const response = await association.nextPdu();
    assert.ok(response?.includes(Buffer.from('1701', 'hex')));
    await association.release();
    assert.deepEqual(await edge.files(), []);
  });

  it('leaves nothing of an object whose sender went away in the middle', async (test) => {
    const edge = await startTestEdge(test);
    const object = ctObject({});
    const association = await openRawAssociation({
      port: edge.edge.dicomPort,
      calledAeTitle: edge.aeTitle,
      abstractSyntax: object.sopClassUid,
      transferSyntax: object.transferSyntaxUid,
    });
    association.write(dataPdu(3, storeCommand(object.sopClassUid, object.sopInstanceUid, 1)));
    for (let sent = 0; sent < 20; sent++) association.write(dataPdu(0, Buffer.alloc(16_000)));
    await eventually('some of it is on disk', async () => (await edge.files()).length === 1);
    association.destroy();
    await eventually('nothing is left', async () => (await edge.files()).length === 0);
    assert.equal(await store(edge, object), 0x0000);
  });

  it('answers A700 when the disk is full, leaves nothing, and goes on when there is room again', async (test) => {
    let full = true;
    const edge = await startTestEdge(test, {
      diskCalls: {
        ...fs,
        writevSync: (file: number, slices: readonly Buffer[]) => {
          if (full) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
          return fs.writevSync(file, slices);
        },
      },
    });
    const object = ctObject({});
    assert.equal(await store(edge, object), 0xa700);
    assert.deepEqual(await edge.files(), []);
    full = false;
    assert.equal(await store(edge, object), 0x0000);
  });

  it('removes at start what a dead process left half-received', async (test) => {
    const edge = await startTestEdge(test);
    await (await open(join(edge.directory, 'incoming', 'left-over.part'), 'w')).close();
    await edge.restart();
    assert.deepEqual(await edge.files(), []);
  });

  it('marks a copy from a linked cluster, and as provisional when its updates are taken', async (test) => {
    const edge = await startTestEdge(test);
    await edge.station({
      aeTitle: 'SOUTH',
      port: 1,
      kind: 'cluster',
      cluster: 'south',
      patientDomain: 'SOUTHDOM',
    });
    await edge.link({ peer: 'south' });
    await edge.station({ aeTitle: 'EAST', port: 1, kind: 'cluster', cluster: 'east' });
    await edge.link({ peer: 'east', updates: { in: false, out: true } });
    const [fromSouth, fromEast] = [ctObject({}), ctObject({})];
    assert.equal(await store(edge, fromSouth, 'SOUTH'), 0x0000);
    assert.equal(await store(edge, fromEast, 'EAST'), 0x0000);
    await edge.federator.seen(2);
    const south = edge.federator.instances.get(fromSouth.sopInstanceUid);
    const east = edge.federator.instances.get(fromEast.sopInstanceUid);
    assert.deepEqual([south?.pulledFrom, south?.provisional, south?.issuer], ['south', true, 'SOUTHDOM']);
    assert.deepEqual([east?.pulledFrom, east?.provisional, east?.issuer], ['east', false, 'north']);
  });
});

describe('C-STORE of real files', { skip: samplesMissing }, () => {
  const bySyntax = (file: string): TestObject | undefined => {
    const bytes = readFileSync(file);
    try {
      const meta = readFileMeta(bytes);
      const dataSet = bytes.subarray(meta.dataSetOffset);
      // As senders do: who the object is stands in the data set; some of these files say something else in group 0002.
      const walker = new HeaderWalker(meta.transferSyntaxUid);
      walker.push(dataSet);
      const sopClassUid = stringOf(walker.attributes, tags.SOPClassUID) ?? meta.sopClassUid;
      const sopInstanceUid = stringOf(walker.attributes, tags.SOPInstanceUID) ?? meta.sopInstanceUid;
      const studyInstanceUid = stringOf(walker.attributes, tags.StudyInstanceUID) ?? '';
      const seriesInstanceUid = stringOf(walker.attributes, tags.SeriesInstanceUID) ?? '';
      return { ...meta, sopClassUid, sopInstanceUid, studyInstanceUid, seriesInstanceUid, dataSet };
    } catch {
      return undefined;
    }
  };

  for (const folder of ['transfer-syntaxes', 'encodings', 'malformed']) {
    it(`[R6] stores each of ${folder} byte for byte, or refuses it clearly, and goes on`, async (test) => {
      const edge = await startTestEdge(test);
      let stored = 0;
      for (const file of sampleFiles(folder)) {
        const object = bySyntax(file);
        if (!object) continue;
        const status = await store(edge, object);
        const name = basename(file);
        if (status !== 0) {
          assert.ok([0xa900, 0xc000].includes(status), `${name}: ${status.toString(16)}`);
          const named = object.studyInstanceUid !== '' && object.seriesInstanceUid !== '';
          assert.ok(folder === 'malformed' || !named, `${name} was refused with ${status.toString(16)}`);
          continue;
        }
        stored += 1;
        await eventually(`${name} is in the log`, () => edge.federator.instances.has(object.sopInstanceUid));
        const fact = edge.federator.instances.get(object.sopInstanceUid);
        assert.ok(fact);
        const kept = dataSetOfFile(join(edge.directory, fact.file));
        const isThere =
          kept.equals(object.dataSet) ||
          saysTheSame(kept, fact.transferSyntaxUid, object) ||
          (await asideHas(edge, object.dataSet));
        assert.ok(isThere, `${name} is neither there byte for byte nor in another encoding`);
      }
      assert.ok(stored > 0);
      const echo = await store(edge, ctObject({}));
      assert.equal(echo, 0x0000);
    });
  }

  /** Of the encoding, not of the object: VRs, character set, group lengths, Data Set Trailing Padding. */
  const ofEncoding = /^(?:vr|00080005|[0-9A-F]{4}0000|FFFCFFFC)$/;

  /** Several of these files are one object in different encodings. */
  function saysTheSame(kept: Buffer, keptSyntaxUid: string, sent: TestObject): boolean {
    const said = (dataSet: Buffer, transferSyntaxUid: string): string =>
      JSON.stringify(decodeDataSet(dataSet, transferSyntaxUid), (name, value: unknown) =>
        ofEncoding.test(name) ? undefined : value,
      );
    return said(kept, keptSyntaxUid) === said(sent.dataSet, sent.transferSyntaxUid);
  }

  async function asideHas(edge: TestEdge, dataSet: Buffer): Promise<boolean> {
    const aside = (await edge.files()).filter(
      (file) => file.startsWith('conflicts/') && file.endsWith('.dcm'),
    );
    return aside.some((file) => dataSetOfFile(join(edge.directory, file)).equals(dataSet));
  }

  it(
    '[R6] takes a study from storescu and lists its attributes in the log',
    { skip: missingTool('storescu') },
    async (test) => {
      const edge = await startTestEdge(test, { settings: { FSYNC: 'group' } });
      const files = sampleFiles('priors/98892001/CT5N');
      const args = ['-aec', edge.aeTitle, '127.0.0.1', String(edge.edge.dicomPort), ...files];
      const { code, output } = await runTool('storescu', args);
      assert.equal(code, 0, output);
      await edge.federator.seen(files.length);
      for (const fact of edge.federator.instances.values()) {
        const dataSet = dataSetOfFile(join(edge.directory, fact.file));
        const whole = decodeDataSet(dataSet, fact.transferSyntaxUid);
        assert.equal(stringOf(fact.header, tags.PatientID), stringOf(whole, tags.PatientID));
        assert.equal(stringOf(whole, tags.SOPInstanceUID), fact.sopInstanceUid);
      }
    },
  );
});
