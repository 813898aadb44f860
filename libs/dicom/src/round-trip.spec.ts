import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dataSets, layouts } from '../test/arbitraries.ts';
import { binaryElement, DataSetError, decodeDataSet, element, encodeDataSet, tags, uids } from './index.ts';
import type { DataSetJson } from './index.ts';

/** (0008,0005) is what writing adds, so it is left out of the comparison, in items too. */
function withoutCharacterSet(row: DataSetJson): unknown {
  return JSON.parse(
    JSON.stringify(row, (key, value: unknown) => (key === tags.SpecificCharacterSet ? undefined : value)),
  );
}

for (const [layout, uid] of Object.entries(layouts)) {
  test(`what is written in ${layout} is read back as it was`, () => {
    fc.assert(
      fc.property(dataSets, (row) => {
        const bytes = encodeDataSet(row, uid);
        assert.equal(bytes.length % 2, 0);
        assert.deepEqual(withoutCharacterSet(decodeDataSet(bytes, uid)), withoutCharacterSet(row));
      }),
      { numRuns: 150 },
    );
  });
}

test('text beyond ASCII makes the data set ISO_IR 192, once, at the top', () => {
  const row = {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 100'),
    [tags.PatientName]: element('PN', 'Müller'),
    [tags.ReferencedStudySequence]: element('SQ', {
      [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 144'),
      [tags.StudyDescription]: element('LO', 'ж'),
    }),
  };
  const bytes = encodeDataSet(row, uids.ExplicitVrLittleEndian);
  assert.ok(bytes.includes(Buffer.from('Müller', 'utf8')));
  assert.deepEqual(decodeDataSet(bytes, uids.ExplicitVrLittleEndian), {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
    [tags.PatientName]: element('PN', 'Müller'),
    [tags.ReferencedStudySequence]: element('SQ', { [tags.StudyDescription]: element('LO', 'ж') }),
  });
});

test('plain ASCII keeps the character set that the data set says, or none', () => {
  const said = {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 100'),
    [tags.PatientID]: element('LO', '1'),
  };
  const unsaid = { [tags.PatientID]: element('LO', '1') };
  for (const row of [said, unsaid]) {
    assert.deepEqual(decodeDataSet(encodeDataSet(row, layouts.explicit), layouts.explicit), row);
  }
});

test('a tilde under ISO_IR 13, where the byte means another letter, is not changed', () => {
  const row = {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 13'),
    [tags.PatientID]: element('LO', 'a~b'),
  };
  assert.deepEqual(
    decodeDataSet(encodeDataSet(row, layouts.explicit), layouts.explicit)[tags.PatientID],
    element('LO', 'a~b'),
  );
});

test('elements are written in order of their tags, group lengths left out', () => {
  const row = {
    [tags.StudyInstanceUID]: element('UI', '1.2'),
    '00080000': element('UL', 99),
    [tags.Modality]: element('CS', 'CT'),
  };
  const back = decodeDataSet(encodeDataSet(row, layouts.explicit), layouts.explicit);
  assert.deepEqual(Object.keys(back), [tags.Modality, tags.StudyInstanceUID]);
});

test('the bytes of a small data set are those of the standard', () => {
  const row = { [tags.PatientID]: element('LO', 'abc'), [tags.StudyInstanceUID]: element('UI', '1.2') };
  assert.equal(
    encodeDataSet(row, layouts.explicit).toString('latin1'),
    '\x10\0\x20\0LO\x04\0abc \x20\0\x0d\0UI\x04\x001.2\0',
  );
  assert.equal(
    encodeDataSet(row, layouts.implicit).toString('latin1'),
    '\x10\0\x20\0\x04\0\0\0abc \x20\0\x0d\0\x04\0\0\x001.2\0',
  );
  assert.equal(
    encodeDataSet(row, layouts.bigEndian).toString('latin1'),
    '\0\x10\0\x20LO\0\x04abc \0\x20\0\x0dUI\0\x041.2\0',
  );
});

test('a list of UIDs over 64 KB goes out as UN and comes back as UI', () => {
  const many = element(
    'UI',
    ...Array.from({ length: 3000 }, (_, index) => `1.2.840.113619.2.1234567890.${index}`),
  );
  const row = { [tags.SOPInstanceUID]: many };
  for (const uid of [layouts.explicit, layouts.bigEndian]) {
    const bytes = encodeDataSet(row, uid);
    assert.equal(bytes.toString('latin1', 4, 6), 'UN');
    assert.deepEqual(decodeDataSet(bytes, uid), row);
  }
});

test('numbers that a DS cannot hold in 16 characters are rounded, in an IS refused', () => {
  const back = decodeDataSet(
    encodeDataSet({ [tags.SliceThickness]: element('DS', 1 / 3) }, layouts.explicit),
    layouts.explicit,
  );
  assert.equal(back[tags.SliceThickness]!.Value![0], 0.33333333333333);
  assert.throws(
    () => encodeDataSet({ [tags.SeriesNumber]: element('IS', 1.5) }, layouts.explicit),
    DataSetError,
  );
});

test('what does not fit its VR is refused with the tag, and without the value', () => {
  const refused: readonly DataSetJson[] = [
    { [tags.StudyDescription]: element('LO', 'a\\secret') },
    { [tags.PatientName]: element('PN', { Alphabetic: 'a=secret' }) },
    { [tags.PatientName]: element('PN', 'a\\secret') },
    { [tags.Rows]: element('US', 70000) },
    { [tags.Rows]: element('US', -1) },
    { [tags.Rows]: element('US', 'secret') },
    { [tags.Rows]: { vr: 'US', Value: [''] } },
    { [tags.Modality]: element('CS', 'secret 山') },
    { [tags.Modality]: element('CS', true) },
    { [tags.FrameIncrementPointer]: element('AT', 'secret') },
    { [tags.TextValue]: element('UT', 'two', 'secret') },
    { [tags.PixelData]: { vr: 'OW', BulkDataURI: '#offset=0&length=1' } },
    { [tags.PixelData]: { vr: 'OW', Value: [1] } },
    { [tags.PatientID]: { vr: 'LO', InlineBinary: 'AAAA' } },
    { [tags.ReferencedStudySequence]: element('SQ', 'secret') },
    { secret: element('LO', 'x') },
    { '00000002': element('UI', '1.2') },
  ];
  for (const row of refused) {
    assert.throws(
      () => encodeDataSet(row, layouts.explicit),
      (error) =>
        error instanceof DataSetError && error.code === 'unencodable' && !error.message.includes('secret'),
      JSON.stringify(row),
    );
  }
});

test('an element without a VR gets the one of the dictionary', () => {
  const row = { [tags.PatientID]: { Value: ['1'] } } as unknown as DataSetJson;
  assert.deepEqual(decodeDataSet(encodeDataSet(row, layouts.explicit), layouts.explicit), {
    [tags.PatientID]: element('LO', '1'),
  });
});

test('whatever JSON it is given, writing fails with a DataSetError or gives bytes that can be read', () => {
  const anything = fc.dictionary(
    fc.constantFrom(
      tags.PatientName,
      tags.Rows,
      tags.ReferencedStudySequence,
      tags.PixelData,
      '00731009',
      'x',
    ),
    fc.record(
      {
        vr: fc.constantFrom('PN', 'US', 'SQ', 'OW', 'DS', 'AT', 'UV', 'FL', 'ZZ', 7),
        Value: fc.anything(),
        InlineBinary: fc.anything(),
      },
      { requiredKeys: [] },
    ),
  );
  fc.assert(
    fc.property(anything, fc.constantFrom(...Object.values(layouts)), (json, uid) => {
      try {
        decodeDataSet(encodeDataSet(json as DataSetJson, uid), uid);
      } catch (error) {
        assert.ok(error instanceof DataSetError, String(error));
      }
    }),
    { numRuns: 1500 },
  );
});

test('nesting without end is refused in both directions', () => {
  let row: DataSetJson = { [tags.PatientID]: element('LO', '1') };
  for (let depth = 0; depth < 70; depth++) row = { [tags.ContentSequence]: element('SQ', row) };
  assert.throws(
    () => encodeDataSet(row, layouts.explicit),
    (error) => error instanceof DataSetError && error.code === 'too-deep',
  );
});

test('bytes are kept as they are, in words of the other order where the VR says so', () => {
  const row = {
    [tags.LUTData]: binaryElement('OW', Buffer.of(1, 2, 3, 4)),
    [tags.EncapsulatedDocument]: binaryElement('OB', Buffer.of(1, 2, 3, 4)),
  };
  const bytes = encodeDataSet(row, layouts.bigEndian);
  assert.ok(bytes.includes(Buffer.of(2, 1, 4, 3)) && bytes.includes(Buffer.of(1, 2, 3, 4)));
  assert.deepEqual(decodeDataSet(bytes, layouts.bigEndian), row);
});
