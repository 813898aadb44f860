import fc from 'fast-check';
import { binaryElement, element, tags, vrOf } from '../src/index.ts';
import type { DataElement, DataSetJson } from '../src/index.ts';

/** Transfer syntaxes that differ in layout. */
export const layouts = {
  implicit: '1.2.840.10008.1.2',
  explicit: '1.2.840.10008.1.2.1',
  bigEndian: '1.2.840.10008.1.2.2',
  deflated: '1.2.840.10008.1.2.1.99',
} as const;

const text = (maxLength: number) =>
  fc
    .string({ unit: fc.constantFrom(...'abcXYZ019 .-/é山홍ÄЖ'), maxLength })
    .map((value) => value.trim())
    .filter((value) => value !== '');

const values = (value: fc.Arbitrary<unknown>, vr: string) =>
  fc.array(value, { maxLength: 3 }).map((list) => element(vr, ...list));

const name = fc.record(
  { Alphabetic: text(12), Ideographic: text(6), Phonetic: text(6) },
  { requiredKeys: ['Alphabetic'] },
);

const uid = fc
  .array(fc.nat(9999), { minLength: 1, maxLength: 8 })
  .map((parts) => ['1.2', ...parts].join('.'));

const bytes = fc
  .uint8Array({ maxLength: 20 })
  .map((list) => list.subarray(0, list.length - (list.length % 8)));

/** Elements whose VR the dictionary knows, so that they come back from Implicit VR too. */
const leaves: { readonly [tag: string]: fc.Arbitrary<DataElement> } = {
  [tags.SOPClassUID]: values(uid, 'UI'),
  [tags.StudyDate]: fc.constant(element('DA', '20240229')),
  [tags.StudyTime]: fc.constant(element('TM', '101530.5')),
  [tags.AccessionNumber]: values(text(16), 'SH'),
  [tags.RetrieveAETitle]: values(fc.constantFrom('NORTH', 'SOUTH'), 'AE'),
  [tags.ModalitiesInStudy]: values(fc.constantFrom('CT', 'MR', 'PR'), 'CS'),
  [tags.StudyDescription]: values(text(40), 'LO'),
  [tags.PatientName]: values(name, 'PN'),
  [tags.OtherPatientNames]: values(name, 'PN'),
  [tags.PatientComments]: text(60).map((value) => element('LT', value)),
  [tags.SliceThickness]: values(fc.constantFrom(0, 1.5, -2.25, '1.0', '+3'), 'DS'),
  [tags.NumberOfStudyRelatedInstances]: values(fc.integer(), 'IS'),
  [tags.Rows]: values(fc.nat(0xffff), 'US'),
  [tags.PixelRepresentation]: fc.constant(element('US', 1)),
  [tags.SmallestImagePixelValue]: fc.constant(element('SS', -5)),
  [tags.FrameIncrementPointer]: values(fc.constantFrom('00181063', '0054ABCD'), 'AT'),
  [tags.GraphicData]: values(fc.float({ noNaN: true, noDefaultInfinity: true }), 'FL'),
  [tags.DisplayedAreaTopLeftHandCorner]: values(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), 'SL'),
  [tags.AcquisitionDuration]: values(fc.double({ min: -1e300, max: 1e300, noNaN: true }), 'FD'),
  [tags.TextValue]: text(80).map((value) => element('UT', value)),
  [tags.RetrieveURL]: fc.constant(element('UR', 'https://example.org/a?b=c')),
  [tags.EncapsulatedDocument]: bytes.map((list) => binaryElement('OB', list)),
  [tags.FloatPixelData]: bytes.map((list) => binaryElement('OF', list)),
  [tags.LUTData]: bytes.map((list) => binaryElement('OW', list)),
};

/** Private elements of ours and of a stranger; the stranger's have no VR in Implicit VR. */
const ours = fc.constant<DataSetJson>({
  '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
  '00731001': element('CS', 'APPROVED'),
  '00731022': element('UL', 1500),
});

function dataSetOf(depth: number): fc.Arbitrary<DataSetJson> {
  const flat = fc.record(leaves, { requiredKeys: [tags.PixelRepresentation] }) as fc.Arbitrary<DataSetJson>;
  const withPrivate = fc.tuple(flat, fc.option(ours)).map(([row, more]) => ({ ...row, ...more }));
  if (depth === 0) return withPrivate;
  const items = fc.array(dataSetOf(depth - 1), { maxLength: 2 }).map((list) => element('SQ', ...list));
  return fc
    .tuple(
      withPrivate,
      fc.record({ [tags.ReferencedSeriesSequence]: items, '00731009': items }, { requiredKeys: [] }),
    )
    .map(([row, sequences]) => ({
      ...row,
      ...('00731009' in sequences ? { '00730010': element('LO', 'ISTHMUS STUDY 1.0') } : {}),
      ...sequences,
    }));
}

/** Data sets that every transfer syntax carries without loss. */
export const dataSets: fc.Arbitrary<DataSetJson> = dataSetOf(2);

/** Refuses to be wrong: every leaf has the VR of the dictionary. */
for (const tag of Object.keys(leaves)) {
  const vr = vrOf(tag, { pixelRepresentation: 1 });
  if (vr === 'UN') throw new Error(`${tag} is not in the dictionary`);
}

/** Bytes, hex between bars: `|0800 0500|CS|0A00|ISO_IR 100`. */
export function bytesOf(notation: string): Buffer {
  return Buffer.concat(
    notation
      .split('|')
      .map((part, index) =>
        index % 2 === 1 ? Buffer.from(part.replaceAll(' ', ''), 'hex') : Buffer.from(part, 'latin1'),
      ),
  );
}

/** `bytes` in pieces that end at the given places. */
export function pieces(bytes: Buffer, ends: readonly number[]): Buffer[] {
  const sorted = [...ends].map((end) => end % (bytes.length + 1)).sort((a, b) => a - b);
  return [0, ...sorted].map((start, index) => bytes.subarray(start, sorted[index] ?? bytes.length));
}
