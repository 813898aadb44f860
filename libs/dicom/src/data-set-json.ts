/**
 * A data set in the DICOM JSON Model (PS3.18 Annex F): tag (8 upper-case hex digits) to element. `Value` holds strings,
 * numbers, `PersonName`s, data sets (items of a sequence), and null for an empty value among several. `DS` and `IS` are
 * numbers when that keeps them exact, else strings, both as the model allows. An empty element has neither `Value` nor
 * binary. `BulkDataURI` (`#offset=…&length=…`, into the bytes that were read, inflated when they were deflated) stands
 * for a value that was too large to keep.
 */
export type DataSetJson = { readonly [tag: string]: DataElement };

/** One element of a `DataSetJson`. */
export interface DataElement {
  readonly vr: string;
  readonly Value?: readonly unknown[];
  /** Base64, little endian. */
  readonly InlineBinary?: string;
  readonly BulkDataURI?: string;
}

/** Component groups of a person name (PS3.5 6.2.1), components separated by `^`. */
export interface PersonName {
  readonly Alphabetic?: string;
  readonly Ideographic?: string;
  readonly Phonetic?: string;
}

/**
 * Makes an element. Values that are undefined, null or empty text at the end are left out, so that `element('LO', '')`
 * is an empty element (universal matching in a query). A `PN` may be given as text with `=` between its groups.
 */
export function element(vr: string, ...values: readonly unknown[]): DataElement {
  const list = values.map((value) => {
    if (value === undefined || value === '') return null;
    return vr === 'PN' && typeof value === 'string' ? personName(value) : value;
  });
  while (list.length > 0 && list.at(-1) === null) list.pop();
  return list.length === 0 ? { vr } : { vr, Value: list };
}

/** Makes an element of `OB`, `OW`, `UN` … from bytes, which are little endian. */
export function binaryElement(vr: string, bytes: Uint8Array): DataElement {
  if (bytes.length === 0) return { vr };
  return {
    vr,
    InlineBinary: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
  };
}

/** Splits `Alphabetic=Ideographic=Phonetic`; null when nothing is in it: `^^^^` names nobody. */
export function personName(text: string): PersonName | null {
  const [alphabetic, ideographic, phonetic] = text
    .split('=')
    .map((group) => (/^[\^ ]*$/.test(group) ? '' : group));
  const name: { -readonly [group in keyof PersonName]: string } = {};
  if (alphabetic) name.Alphabetic = alphabetic;
  if (ideographic) name.Ideographic = ideographic;
  if (phonetic) name.Phonetic = phonetic;
  return Object.keys(name).length === 0 ? null : name;
}

/** Joins the groups of a name with `=`, without empty groups at the end. Text is given back as it is. */
export function personNameText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value !== 'object' || value === null) return '';
  const { Alphabetic, Ideographic, Phonetic } = value as { readonly [group in keyof PersonName]: unknown };
  const groups = [Alphabetic, Ideographic, Phonetic].map((group) => (typeof group === 'string' ? group : ''));
  while (groups.at(-1) === '') groups.pop();
  return groups.join('=');
}

/** All values as text, names with `=` between groups; an empty value among several is ''. Absent or empty: []. */
export function stringsOf(row: DataSetJson, tag: string): string[] {
  return (row[tag]?.Value ?? []).map(valueText);
}

/** First value as text; undefined when the element is absent or empty. */
export function stringOf(row: DataSetJson, tag: string): string | undefined {
  const text = valueText(row[tag]?.Value?.[0]);
  return text === '' ? undefined : text;
}

/** First value as a number; undefined when the element is absent, empty or not a number. */
export function numberOf(row: DataSetJson, tag: string): number | undefined {
  const value = row[tag]?.Value?.[0];
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) ? number : undefined;
}

/** Items of a sequence; [] when it is absent or empty. */
export function itemsOf(row: DataSetJson, tag: string): readonly DataSetJson[] {
  return (row[tag]?.Value ?? []).filter(
    (item): item is DataSetJson => typeof item === 'object' && item !== null,
  );
}

/** Bytes of a binary element, little endian; undefined when the element is absent, or was too large to keep. */
export function binaryOf(row: DataSetJson, tag: string): Buffer | undefined {
  return bytesOfElement(row[tag]);
}

/** As `binaryOf`, for an element in hand. */
export function bytesOfElement(found: DataElement | undefined): Buffer | undefined {
  if (found === undefined || found.BulkDataURI !== undefined) return undefined;
  return Buffer.from(typeof found.InlineBinary === 'string' ? found.InlineBinary : '', 'base64');
}

/** The data set with one element set. */
export function withElement(row: DataSetJson, tag: string, value: DataElement): DataSetJson {
  return { ...row, [tag]: value };
}

/** The data set without these elements. */
export function withoutElements(row: DataSetJson, ...removed: readonly string[]): DataSetJson {
  return Object.fromEntries(Object.entries(row).filter(([tag]) => !removed.includes(tag)));
}

function valueText(value: unknown): string {
  if (typeof value === 'number') return String(value);
  return personNameText(value);
}
