import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { annotationOf, replacedBy } from './annotations.ts';
import type { Annotation } from './annotations.ts';

const presentationState = '1.2.840.10008.5.1.4.1.1.11.1';
const keyObjects = '1.2.840.10008.5.1.4.1.1.88.59';

function annotation(sopInstanceUid: string, more: Partial<Annotation> = {}): Annotation {
  return {
    sopInstanceUid,
    kind: 'presentation-states',
    author: 'READER^ANN',
    label: 'MARKUP',
    description: '',
    created: '20240201101500',
    refersTo: ['1.1'],
    ...more,
  };
}

describe('annotations', () => {
  it('[U3] of a presentation state say who made it, when, and of what', () => {
    const item = (uid: string) => ({ '00081155': { vr: 'UI', Value: [uid] } });
    const header = {
      '00700080': { vr: 'CS', Value: ['MARKUP'] },
      '00700081': { vr: 'LO', Value: ['nodule'] },
      '00700082': { vr: 'DA', Value: ['20240201'] },
      '00700083': { vr: 'TM', Value: ['101500'] },
      '00700084': { vr: 'PN', Value: [{ Alphabetic: 'READER^ANN' }] },
      '00081115': {
        vr: 'SQ',
        Value: [
          { '00081140': { vr: 'SQ', Value: [item('1.2'), item('1.1')] } },
          { '00081140': { vr: 'SQ' } },
        ],
      },
    };
    assert.deepEqual(
      annotationOf('9.1', presentationState, header),
      annotation('9.1', { description: 'nodule', refersTo: ['1.1', '1.2'] }),
    );
  });
  it('[U6] of a key image note have its title, and whoever the header names', () => {
    const header = {
      '00080023': { vr: 'DA', Value: ['20240201'] },
      '00081070': { vr: 'PN', Value: [{ Alphabetic: 'TECH^TOM' }] },
      '0040A043': { vr: 'SQ', Value: [{ '00080104': { vr: 'LO', Value: ['Of Interest'] } }] },
    };
    const found = annotationOf('9.2', keyObjects, header);
    assert.deepEqual(
      [found?.kind, found?.author, found?.label, found?.created, found?.refersTo],
      ['key-images', 'TECH^TOM', 'Of Interest', '20240201', []],
    );
    assert.equal(annotationOf('9.3', '1.2.840.10008.5.1.4.1.1.2', header), undefined);
  });
  it('[U3] replace the one before by the same author, under the same label, on the same images', () => {
    const chain = ['20240201', '20240202', '20240203'].map((created, n) => annotation(`9.${n}`, { created }));
    const others = [
      annotation('8.1', { author: 'OTHER', created: '20240204' }),
      annotation('8.2', { label: 'OTHER', created: '20240204' }),
      annotation('8.3', { refersTo: ['1.2'], created: '20240204' }),
      annotation('8.4', { kind: 'key-images', created: '20240204' }),
    ];
    assert.deepEqual([...replacedBy([...others, ...chain.reverse()])].sort(), [
      ['9.0', '9.1'],
      ['9.1', '9.2'],
    ]);
  });
  it('replace nothing when they do not say by whom, when or on what, or were made at one instant', () => {
    for (const more of [{ author: '' }, { refersTo: [] }, { created: '' }])
      assert.equal(replacedBy([annotation('9.1', more), annotation('9.2', more)]).size, 0);
    assert.equal(replacedBy([annotation('9.1'), annotation('9.2')]).size, 0);
  });
  it('can be read from any header', () => {
    const values = fc.array(fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.object()));
    const tags = fc.constantFrom('00700080', '00700082', '00700084', '00081115', '0040A043', '00081070');
    fc.assert(
      fc.property(fc.dictionary(tags, fc.record({ vr: fc.constant('UN'), Value: values })), (header) => {
        assert.equal(annotationOf('9.1', presentationState, header)?.sopInstanceUid, '9.1');
      }),
    );
  });
});
