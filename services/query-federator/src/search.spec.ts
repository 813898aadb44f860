import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stringOf, stringsOf, tags } from '@isthmus/dicom';
import type { FindRequest } from '@isthmus/domain';
import { element } from '@isthmus/dicom';
import type { Federation } from './federate.ts';
import { createSearch, searchIdentifier } from './search.ts';

const row = (uid: string, date: string) => ({
  sources: ['north'],
  local: true,
  row: {
    [tags.StudyInstanceUID]: element('UI', uid),
    [tags.StudyDate]: element('DA', date),
    [tags.PatientID]: element('LO', 'P1'),
  },
});

function searching(studies: () => readonly (readonly [uid: string, date: string])[]) {
  const asked: FindRequest[] = [];
  const clock = { now: 0 };
  const federation: Pick<Federation, 'collect'> = {
    collect: async (request) => {
      asked.push(request);
      return { rows: studies().map(([uid, date]) => row(uid, date)), outcomes: [], conflicts: [] };
    },
  };
  const search = createSearch({
    federation: federation as Federation,
    here: () => ({ cluster: 'north', aeTitle: 'NORTH' }),
    rowsMax: 100,
    timeoutMs: 1000,
    keptMax: 2,
    keptRowsMax: 100,
    keptMs: 1000,
    now: () => clock.now,
  });
  const page = async (cursor?: string | null) => {
    const question = { patientId: 'P1', limit: 2, ...(cursor ? { cursor } : {}) };
    const { items, nextCursor } = await search(question, new AbortController().signal);
    return { uids: items.map((item) => item.studyInstanceUid), nextCursor };
  };
  return { page, asked, clock };
}

describe('searching over all clusters', () => {
  it('turns a search into C-FIND keys', () => {
    const identifier = searchIdentifier({
      patientId: 'P1',
      patientName: 'doe',
      studyDate: { from: '2024-01-31' },
      modalities: ['CT', 'MR'],
      reportStatus: 'NEW',
    });
    assert.equal(stringOf(identifier, tags.PatientID), 'P1');
    assert.equal(stringOf(identifier, tags.PatientName), 'doe*');
    assert.equal(stringOf(identifier, tags.StudyDate), '20240131-');
    assert.deepEqual(stringsOf(identifier, tags.ModalitiesInStudy), ['CT', 'MR']);
    assert.equal(stringOf(identifier, '00731001'), 'NEW');
    assert.equal(stringOf(searchIdentifier({ patientName: 'd?e' }), tags.PatientName), 'd?e');
    assert.equal(stringOf(searchIdentifier({ studyDate: { to: '20240131' } }), tags.StudyDate), '-20240131');
    assert.equal(identifier[tags.AccessionNumber]?.Value, undefined);
  });

  it('[Q11] pages stably through what one search found, newest first', async () => {
    let studies: [string, string][] = [
      ['1.3', '20240101'],
      ['1.1', '20240101'],
      ['1.2', '20250101'],
      ['1.4', ''],
    ];
    const { page, asked } = searching(() => studies);
    const first = await page();
    studies = [['1.9', '20990101'], ...studies];
    const second = await page(first.nextCursor);
    assert.deepEqual(
      [first.uids, second.uids],
      [
        ['1.2', '1.1'],
        ['1.3', '1.4'],
      ],
    );
    assert.equal(second.nextCursor, null);
    assert.equal(asked.length, 1);
  });

  it('[Q11] searches anew when the result is gone, and goes on where the last page ended', async () => {
    const { page, asked, clock } = searching(() => [
      ['1.1', '20240101'],
      ['1.2', '20240102'],
      ['1.3', '20240103'],
    ]);
    const { nextCursor } = await page();
    clock.now = 5000;
    assert.deepEqual((await page(nextCursor)).uids, ['1.1']);
    assert.equal(asked.length, 2);
  });
});
