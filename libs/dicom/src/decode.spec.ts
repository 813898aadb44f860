import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { bytesOf, dataSets, layouts } from '../test/arbitraries.ts';
import { binaryElement, DataSetError, decodeDataSet, element, encodeDataSet, tags, uids } from './index.ts';
import type { DataSetErrorCode } from './index.ts';

const explicit = layouts.explicit;

function fails(code: DataSetErrorCode) {
  return (error: unknown) => error instanceof DataSetError && error.code === code && error.remedy !== '';
}

test('reads sequences and items of undefined length', () => {
  const bytes = bytesOf(
    '|0800 1011|SQ|0000 FFFFFFFF FEFF00E0 FFFFFFFF 0800 5011|UI|0400|1.2|00 FEFF0DE0 00000000|' +
      '|FEFF00E0 0C000000 0800 5011|UI|0400|1.3|00 FEFFDDE0 00000000 1000 2000|LO|0200|1 ',
  );
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    '00081110': element('SQ', { '00081150': element('UI', '1.2') }, { '00081150': element('UI', '1.3') }),
    [tags.PatientID]: element('LO', '1'),
  });
});

test('reads a UN of undefined length as Implicit VR inside (PS3.5 6.2.2)', () => {
  const bytes = bytesOf(
    '|0900 1010|UN|0000 FFFFFFFF FEFF00E0 FFFFFFFF 0800 5011 04000000|1.2|00 FEFF0DE0 00000000 FEFFDDE0 00000000|' +
      '|1000 2000|LO|0200|1 ',
  );
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    '00091010': element('SQ', { '00081150': element('UI', '1.2') }),
    [tags.PatientID]: element('LO', '1'),
  });
});

test('reads a UN whose tag is known as what it is, in the byte order of Implicit VR, and keeps one that is not', () => {
  const row = {
    '00091001': binaryElement('UN', Buffer.of(1, 0)),
    '00280010': element('US', 512),
    '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
    '00731009': element('SQ', { '00080054': element('AE', 'NORTH') }),
  };
  for (const uid of [layouts.explicit, layouts.bigEndian]) {
    const asUnknown = Object.fromEntries(
      Object.entries(row).map(([tag, found]) => {
        const value = encodeDataSet({ [tag]: found }, layouts.implicit).subarray(8);
        return [tag, tag === '00730010' ? found : binaryElement('UN', value)];
      }),
    );
    assert.deepEqual(decodeDataSet(encodeDataSet(asUnknown, uid), uid), row);
  }
});

test('a UN that is not the sequence its tag promises stays bytes', () => {
  const row = { [tags.ReferencedStudySequence]: binaryElement('UN', Buffer.from('not items')) };
  const back = decodeDataSet(encodeDataSet(row, explicit), explicit);
  assert.equal(back[tags.ReferencedStudySequence]!.vr, 'UN');
});

test('reads a VR that is not known yet as UN with a long length', () => {
  const bytes = bytesOf('|0900 0110|ZQ|0000 02000000|ab|1000 2000|LO|0200|1 ');
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    '00091001': binaryElement('UN', Buffer.from('ab')),
    [tags.PatientID]: element('LO', '1'),
  });
});

test('reads a single Implicit VR element among Explicit ones', () => {
  const bytes = bytesOf('|0800 6000 02000000|CT|1000 2000|LO|0200|1 ');
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    [tags.Modality]: element('CS', 'CT'),
    [tags.PatientID]: element('LO', '1'),
  });
});

test('items inherit the character set of the data set, and may have their own', () => {
  const row = (inner: string, name: string) =>
    `|0800 0500|CS|0A00|ISO_IR 100|3200 6410|SQ|0000 ${inner}|${name}`;
  const inherits = bytesOf(row('12000000 FEFF00E0 0A000000 1000 1000', 'PN') + '|0200|\xe9 ');
  assert.deepEqual(
    decodeDataSet(inherits, explicit)['00321064'],
    element('SQ', { '00100010': element('PN', 'é') }),
  );
  const own = bytesOf(
    row('24000000 FEFF00E0 1C000000 0800 0500', 'CS') + '|0A00|ISO_IR 126|1000 1000|PN|0200|\xc4 ',
  );
  assert.deepEqual(decodeDataSet(own, explicit)['00321064'], {
    vr: 'SQ',
    Value: [{ '00080005': element('CS', 'ISO_IR 126'), '00100010': element('PN', 'Δ') }],
  });
});

test('values lose their padding and NUL, and numbers keep their spelling', () => {
  const bytes = bytesOf(
    '|0800 6000|CS|0400| CT|00 1000 2000|LO|0600| a|00|b |00 1000 0040|LT|0400| x  |2000 3200|DS|0C00|1.0\\2\\+3\\x  |' +
      '2000 0D00|UI|0400|1.2|00',
  );
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    [tags.Modality]: element('CS', 'CT'),
    [tags.PatientID]: element('LO', 'ab'),
    [tags.PatientComments]: element('LT', ' x'),
    [tags.ImagePositionPatient]: element('DS', '1.0', 2, '+3', 'x'),
    [tags.StudyInstanceUID]: element('UI', '1.2'),
  });
});

test('numbers that JSON does not have are words', () => {
  const row = { [tags.AcquisitionDuration]: element('FD', 'NaN', 'inf', '-inf') };
  assert.deepEqual(decodeDataSet(encodeDataSet(row, explicit), explicit), row);
});

test('stops before a tag, without looking at what follows', () => {
  const bytes = bytesOf('|1000 2000|LO|0200|1 |E07F 1000|OW|0000 FFFFFF00|cut off');
  assert.deepEqual(decodeDataSet(bytes, explicit, { untilTag: 0x7fe00010 }), {
    [tags.PatientID]: element('LO', '1'),
  });
  assert.throws(() => decodeDataSet(bytes, explicit), fails('truncated'));
});

test('encapsulated pixel data and long values are said to be elsewhere', () => {
  const encapsulated = bytesOf(
    '|E07F 1000|OB|0000 FFFFFFFF FEFF00E0 00000000 FEFF00E0 04000000 FEFFDDE0 FEFFDDE0 00000000|',
  );
  assert.deepEqual(decodeDataSet(encapsulated, '1.2.840.10008.1.2.4.90'), {
    [tags.PixelData]: { vr: 'OB', BulkDataURI: '#offset=12&length=28' },
  });
  const long = encodeDataSet({ [tags.LUTData]: binaryElement('OW', Buffer.alloc(100)) }, explicit);
  assert.deepEqual(decodeDataSet(long, explicit, { inlineBytesMax: 99 }), {
    [tags.LUTData]: { vr: 'OW', BulkDataURI: '#offset=12&length=100' },
  });
});

test('of an element that occurs twice the first counts', () => {
  const bytes = bytesOf('|1000 2000|LO|0200|1 |1000 2000|LO|0200|2 ');
  assert.deepEqual(decodeDataSet(bytes, explicit), { [tags.PatientID]: element('LO', '1') });
});

test('zero bytes after the end are padding, a command element is not', () => {
  const row = { [tags.PatientID]: element('LO', '1') };
  for (const zeros of [1, 2, 7, 8, 9, 100]) {
    const bytes = Buffer.concat([encodeDataSet(row, explicit), Buffer.alloc(zeros)]);
    assert.deepEqual(decodeDataSet(bytes, explicit), row);
  }
  const command = Buffer.concat([Buffer.alloc(1_000_000), Buffer.of(1)]);
  assert.throws(() => decodeDataSet(command, layouts.implicit), fails('malformed'));
});

test('an odd length is read as it stands', () => {
  const bytes = bytesOf('|1000 2000|LO|0300|abc|2000 0D00|UI|0300|1.2');
  assert.deepEqual(decodeDataSet(bytes, explicit), {
    [tags.PatientID]: element('LO', 'abc'),
    [tags.StudyInstanceUID]: element('UI', '1.2'),
  });
});

test('a data set that is cut off anywhere but between elements is truncated', () => {
  fc.assert(
    fc.property(
      dataSets,
      fc.constantFrom(layouts.implicit, layouts.explicit, layouts.bigEndian),
      (row, uid) => {
        const bytes = encodeDataSet(row, uid);
        const whole = decodeDataSet(bytes, uid);
        const places = [1, 3, bytes.length >> 1, bytes.length - 1];
        for (const end of places.filter((place) => place > 0 && place < bytes.length)) {
          try {
            const part = decodeDataSet(bytes.subarray(0, end), uid);
            for (const [tag, found] of Object.entries(part)) assert.deepEqual(found, whole[tag]);
          } catch (error) {
            assert.ok(fails('truncated')(error), String(error));
          }
        }
      },
    ),
    { numRuns: 150 },
  );
});

test('each fault has its own code', () => {
  assert.throws(() => decodeDataSet(Buffer.alloc(8), '1.2.3'), fails('unknown-transfer-syntax'));
  assert.throws(() => decodeDataSet(Buffer.from('no'), explicit), fails('truncated'));
  assert.throws(() => decodeDataSet(bytesOf('|FEFF00E0 00000000|'), explicit), fails('malformed'));
  assert.throws(
    () => decodeDataSet(bytesOf('|1000 2000 FFFFFFFF 0800|'), layouts.implicit),
    fails('truncated'),
  );
  assert.throws(
    () => decodeDataSet(bytesOf('|0800 1011|SQ|0000 08000000 1000 2000|LO|0000|'), explicit),
    fails('malformed'),
  );
  assert.throws(
    () => decodeDataSet(Buffer.from('garbage!'), uids.DeflatedExplicitVrLittleEndian),
    fails('deflate'),
  );
});

test('nesting without end is refused before it costs anything', () => {
  const open = bytesOf('|0800 1011|SQ|0000 FFFFFFFF FEFF00E0 FFFFFFFF|');
  assert.throws(
    () => decodeDataSet(Buffer.concat(Array.from({ length: 10_000 }, () => open)), explicit),
    fails('too-deep'),
  );
});

test('a deflated data set that inflates beyond the bound is refused', () => {
  const row = encodeDataSet({ [tags.LUTData]: binaryElement('OW', Buffer.alloc(1_000_000)) }, explicit);
  const deflated = deflateRawSync(row);
  const options = { inflatedBytesMax: 100_000 };
  assert.throws(
    () => decodeDataSet(deflated, uids.DeflatedExplicitVrLittleEndian, options),
    fails('deflate'),
  );
  assert.equal(Object.keys(decodeDataSet(deflated, uids.DeflatedExplicitVrLittleEndian)).length, 1);
});

test('a deflated data set that is cut off is refused', () => {
  const deflated = encodeDataSet(
    { [tags.PatientComments]: element('LT', 'x'.repeat(500)) },
    layouts.deflated,
  );
  assert.throws(
    () => decodeDataSet(deflated.subarray(0, deflated.length - 4), layouts.deflated),
    fails('deflate'),
  );
});
