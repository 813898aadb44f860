import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { bytesOf, dataSets, layouts, pieces } from '../test/arbitraries.ts';
import {
  binaryElement,
  decodeDataSet,
  element,
  encodeDataSet,
  HeaderWalker,
  readPrivate,
  tags,
} from './index.ts';
import type { HeaderWalkerOptions } from './index.ts';

const pixelsTag = 0x7fe00000;

function walk(bytes: Buffer, uid: string, options: HeaderWalkerOptions = {}, ends: readonly number[] = []) {
  const walker = new HeaderWalker(uid, options);
  for (const piece of pieces(bytes, ends)) {
    // The caller may use the memory of a piece again.
    const borrowed = Buffer.from(piece);
    walker.push(borrowed);
    borrowed.fill(0xaa);
  }
  const { complete } = walker.end();
  return { complete, attributes: walker.attributes, error: walker.error };
}

const anyLayout = fc.constantFrom(...Object.values(layouts));

test('however a data set is cut into pieces, the walker sees what the decoder reads', () => {
  fc.assert(
    fc.property(dataSets, anyLayout, fc.array(fc.nat(5000), { maxLength: 30 }), (row, uid, ends) => {
      const bytes = encodeDataSet(row, uid);
      assert.deepEqual(walk(bytes, uid, {}, ends), {
        complete: true,
        attributes: decodeDataSet(bytes, uid, { untilTag: pixelsTag }),
        error: undefined,
      });
    }),
    { numRuns: 200 },
  );
});

test('byte by byte gives the same as all at once', () => {
  fc.assert(
    fc.property(dataSets, anyLayout, (row, uid) => {
      const bytes = encodeDataSet(row, uid);
      const everywhere = Array.from({ length: bytes.length }, (_, index) => index);
      assert.deepEqual(walk(bytes, uid, {}, everywhere), walk(bytes, uid));
    }),
    { numRuns: 20 },
  );
});

test('notices a data set that was cut off inside an element, wherever', () => {
  const bytes = bytesOf(
    '|0800 1011|SQ|0000 FFFFFFFF FEFF00E0 FFFFFFFF 0800 5011|UI|0400|1.2|00 FEFF0DE0 00000000 FEFFDDE0 00000000|' +
      '|1000 2000|LO|0200|1 |E07F 1000|OB|0000 FFFFFFFF FEFF00E0 00000000 FEFF00E0 04000000|abcd|FEFFDDE0 00000000|',
  );
  const between = new Set([0, 48, 58, bytes.length]);
  for (let end = 0; end <= bytes.length; end++) {
    const { complete, error } = walk(bytes.subarray(0, end), layouts.explicit);
    assert.equal(complete, between.has(end), `${end} of ${bytes.length}`);
    assert.equal(error, undefined);
  }
});

test('notices a deflated data set that was cut off, wherever', () => {
  const row = {
    [tags.PatientComments]: element('LT', 'a long comment '.repeat(20)),
    [tags.PatientID]: element('LO', '1'),
  };
  const bytes = encodeDataSet(row, layouts.deflated);
  for (let end = 1; end < bytes.length - 1; end++) {
    assert.equal(walk(bytes.subarray(0, end), layouts.deflated).complete, false, `${end} of ${bytes.length}`);
  }
  assert.equal(walk(bytes, layouts.deflated).complete, true);
});

test('keeps what is wanted, the character set to read it with, and private elements of any block', () => {
  const row = {
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
    [tags.PatientName]: element('PN', 'Müller'),
    [tags.PatientID]: element('LO', '1'),
    '00310011': element('LO', 'MITRA LINKED ATTRIBUTES 1.0'),
    '00311120': element('LO', 'GPI-1'),
    '00311121': element('LO', 'not this'),
    '00330010': element('LO', 'SOMEBODY'),
  };
  const wanted = new Set<string>([tags.PatientName, '00311020']);
  for (const uid of Object.values(layouts)) {
    const { attributes } = walk(encodeDataSet(row, uid), uid, { wanted });
    assert.deepEqual(Object.keys(attributes), [
      tags.SpecificCharacterSet,
      tags.PatientName,
      '00310011',
      '00311120',
    ]);
    assert.deepEqual(attributes[tags.PatientName], element('PN', 'Müller'));
    assert.deepEqual(readPrivate(attributes, 'Mitra Linked Attributes 1.0', 0x20), element('LO', 'GPI-1'));
  }
});

test('keeps no more than the bound, and still sees what comes after something large', () => {
  const row = {
    '00091001': binaryElement('OB', Buffer.alloc(100_000)),
    [tags.PatientID]: element('LO', '1'),
    [tags.ReferencedSeriesSequence]: element('SQ', {
      [tags.LUTData]: binaryElement('OW', Buffer.alloc(100_000)),
    }),
  };
  const seen = walk(
    encodeDataSet(row, layouts.explicit),
    layouts.explicit,
    { headBytesMax: 1000 },
    [7, 500, 60_000],
  );
  assert.deepEqual(seen, {
    complete: true,
    attributes: { [tags.PatientID]: element('LO', '1') },
    error: undefined,
  });
});

test('a sequence of undefined length that grows beyond the bound is let go again', () => {
  const item = '|FEFF00E0 10000000 0800 5011|UI|0800|1.2.3.4|00|';
  const bytes = bytesOf(
    `|0800 1011|SQ|0000 FFFFFFFF|${item.repeat(100)}|FEFFDDE0 00000000 1000 2000|LO|0200|1 `,
  );
  const seen = walk(bytes, layouts.explicit, { headBytesMax: 200 });
  assert.deepEqual(seen, {
    complete: true,
    attributes: { [tags.PatientID]: element('LO', '1') },
    error: undefined,
  });
});

test('attributes can be asked for while the data set passes', () => {
  const bytes = encodeDataSet(
    { [tags.PatientID]: element('LO', '1'), [tags.StudyInstanceUID]: element('UI', '1.2') },
    layouts.explicit,
  );
  const walker = new HeaderWalker(layouts.explicit);
  walker.push(bytes.subarray(0, 16));
  assert.deepEqual(walker.attributes, { [tags.PatientID]: element('LO', '1') });
  walker.push(bytes.subarray(16));
  assert.deepEqual(Object.keys(walker.attributes), [tags.PatientID, tags.StudyInstanceUID]);
});

test('a kept sequence that makes no sense inside is left out, the rest is kept', () => {
  const bytes = bytesOf('|0800 1011|SQ|0000 04000000|oops|1000 2000|LO|0200|1 ');
  assert.deepEqual(walk(bytes, layouts.explicit).attributes, { [tags.PatientID]: element('LO', '1') });
});

test('elements among items, items among elements and unknown syntaxes are errors that are kept, not thrown', () => {
  const among = bytesOf('|0800 1011|SQ|0000 FFFFFFFF 1000 2000|LO|0200|1 ');
  assert.equal(walk(among, layouts.explicit).error?.code, 'malformed');
  assert.equal(walk(bytesOf('|FEFF00E0 00000000|'), layouts.implicit).error?.code, 'malformed');
  assert.equal(walk(Buffer.alloc(10), '1.2.3').error?.code, 'unknown-transfer-syntax');
  assert.equal(walk(Buffer.from('garbage'), layouts.deflated).error?.code, 'deflate');
  const deep = bytesOf('|0800 1011|SQ|0000 FFFFFFFF FEFF00E0 FFFFFFFF|');
  assert.equal(
    walk(Buffer.concat(Array.from({ length: 100 }, () => deep)), layouts.explicit).error?.code,
    'too-deep',
  );
});

test('what the decoder reads whole, the walker calls complete', () => {
  const bytesOfElements = fc
    .array(fc.constantFrom(...elementsAndFaults), { maxLength: 12 })
    .map((parts) => Buffer.concat(parts));
  fc.assert(
    fc.property(bytesOfElements, fc.array(fc.nat(300), { maxLength: 5 }), (bytes, ends) => {
      let readable = true;
      try {
        decodeDataSet(bytes, layouts.explicit);
      } catch {
        readable = false;
      }
      const seen = walk(bytes, layouts.explicit, {}, ends);
      assert.deepEqual(seen, walk(bytes, layouts.explicit));
      if (readable) assert.equal(seen.complete, true);
    }),
    { numRuns: 1000 },
  );
});

const elementsAndFaults = [
  '|0800 1011|SQ|0000 FFFFFFFF|',
  '|FEFF00E0 FFFFFFFF|',
  '|FEFF00E0 00000000|',
  '|FEFF0DE0 00000000|',
  '|FEFFDDE0 00000000|',
  '|1000 2000|LO|0200|1 ',
  '|0900 0110|UN|0000 FFFFFFFF|',
  '|1000 2000 02000000|1 ',
  '|E07F 1000|OB|0000 FFFFFFFF|',
  '|0800 1011|SQ|0000 08000000 FEFF00E0 00000000|',
  '|00|',
  '|0000 0000 0000 0000|',
].map(bytesOf);

test('a deflated data set of countless empty elements is refused once they are too many, the head is kept', () => {
  const head = bytesOf('|1000 2000|LO|0400|ID 1');
  const bomb = deflateRawSync(
    Buffer.concat([head, Buffer.alloc(8 * 1_200_000, bytesOf('|1100 0010|LO|0000|'))]),
  );
  const seen = walk(bomb, layouts.deflated, { wanted: new Set([tags.PatientID]) });
  assert.equal(seen.error?.code, 'too-large');
  assert.deepEqual(seen.attributes, { [tags.PatientID]: element('LO', 'ID 1') });
  const few = walk(bomb, layouts.deflated, { inflatedHeadersMax: 10 }, [100, 2_000]);
  assert.equal(few.error?.code, 'too-large');
});
