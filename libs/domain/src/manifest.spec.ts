import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { buildManifest, manifestDigest, manifestObjects, missingObjects } from './manifest.ts';

const objects = ['1', '2', '3', '4'].map((uid, place) => ({
  seriesInstanceUid: place < 3 ? '9.1' : '9.2',
  modality: place < 3 ? 'CT' : 'PR',
  sopInstanceUid: uid,
  sopClassUid: '7',
}));

describe('object manifests', () => {
  it('have one digest whatever order the objects came in, and however often', () => {
    const expected = manifestDigest(buildManifest('1.2', objects));
    fc.assert(
      fc.property(fc.shuffledSubarray(objects, { minLength: 4 }), (order) => {
        assert.equal(manifestDigest(buildManifest('1.2', [...order, ...order])), expected);
      }),
    );
    const manifest = buildManifest('1.2', objects);
    assert.equal(manifestDigest({ ...manifest, series: [...manifest.series].reverse() }), expected);
    assert.notEqual(manifestDigest(buildManifest('1.2', objects.slice(1))), expected);
  });
  it('[U4] name exactly the objects that are missing, by series', () => {
    const manifest = buildManifest('1.2', objects);
    assert.deepEqual(missingObjects(manifest, new Set(['1', '3'])), [
      { seriesInstanceUid: '9.1', sopInstanceUids: ['2'] },
      { seriesInstanceUid: '9.2', sopInstanceUids: ['4'] },
    ]);
    assert.deepEqual(missingObjects(manifest, new Set(['1', '2', '3', '4'])), []);
    assert.equal(manifestObjects(manifest).length, 4);
  });
});
