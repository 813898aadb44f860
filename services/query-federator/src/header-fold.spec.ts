import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element } from '@isthmus/dicom';
import fc from 'fast-check';
import { foldHeader, unfoldHeader } from './header-fold.ts';
import type { FoldedHeader } from './header-fold.ts';
import type { HeaderJson } from './tables.ts';

const wanted = new Set(['00080060', '00081030']);

describe('gathering the header of a study from its objects', () => {
  it('gives the same in any order: the greatest SOP Instance UID wins, empty says nothing', () => {
    const object = fc.record({
      uid: fc.constantFrom('1.1', '1.2', '1.3'),
      texts: fc.tuple(fc.constantFrom('', 'CT', 'MR'), fc.constantFrom('', 'CHEST', 'HEAD')),
    });
    const fold = (objects: readonly { uid: string; header: HeaderJson }[]): FoldedHeader =>
      objects.reduce<FoldedHeader>((folded, { uid, header }) => foldHeader(folded, header, uid, wanted), {});
    fc.assert(
      fc.property(
        fc
          .uniqueArray(object, { selector: ({ uid }) => uid })
          .chain((some) =>
            fc.tuple(fc.constant(some), fc.shuffledSubarray(some, { minLength: some.length })),
          ),
        (orders) => {
          const [one, other] = orders.map((objects) =>
            fold(
              objects.map(({ uid, texts: [modality, text] }) => ({
                uid,
                header: { '00080060': element('CS', modality), '00081030': element('LO', text) },
              })),
            ),
          );
          assert.deepEqual(unfoldHeader(one!), unfoldHeader(other!));
        },
      ),
    );
  });

  it('is the same value when an object brings nothing new', () => {
    const folded = foldHeader({}, { '00080060': element('CS', 'CT') }, '1.2', wanted);
    assert.equal(
      foldHeader(folded, { '00080060': element('CS', 'MR'), '00081030': element('LO') }, '1.1', wanted),
      folded,
    );
  });
});
