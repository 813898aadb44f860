import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { stringOf, stringsOf, tags } from '@isthmus/dicom';
import type { RetrieveRequest } from '@isthmus/domain';
import { identifiersOf } from './retrieve.ts';

const request = (series?: RetrieveRequest['series']): RetrieveRequest => ({
  studyInstanceUid: '1.2',
  ...(series ? { series } : {}),
  reason: 'user',
  deadlineMs: 1_000,
});

describe('the identifiers of a retrieve', () => {
  it('name the study alone when all of it is wanted', () => {
    const [identifier, ...others] = identifiersOf(request());
    assert.ok(identifier);
    assert.equal(others.length, 0);
    assert.equal(stringOf(identifier, tags.QueryRetrieveLevel), 'STUDY');
    assert.equal(stringOf(identifier, tags.StudyInstanceUID), '1.2');
  });

  it('are one per series, and hold at most 500 objects each', () => {
    const many = Array.from({ length: 1_001 }, (_, n) => `1.2.1.${n}`);
    const identifiers = identifiersOf(
      request([{ seriesInstanceUid: '1.2.1', sopInstanceUids: many }, { seriesInstanceUid: '1.2.2' }]),
    );
    assert.deepEqual(
      identifiers.map((one) => [
        stringOf(one, tags.QueryRetrieveLevel),
        stringOf(one, tags.SeriesInstanceUID),
        stringsOf(one, tags.SOPInstanceUID).length,
      ]),
      [
        ['IMAGE', '1.2.1', 500],
        ['IMAGE', '1.2.1', 500],
        ['IMAGE', '1.2.1', 1],
        ['SERIES', '1.2.2', 0],
      ],
    );
    assert.deepEqual(
      identifiers.flatMap((one) => stringsOf(one, tags.SOPInstanceUID)),
      many,
    );
  });
});
