import iconv from 'iconv-lite';
import { Iso2022Decoder } from './iso-2022.ts';

/** Turns the bytes of text values into Unicode. */
export interface CharacterSet {
  /**
   * Decodes a whole element. Backslashes of the answer separate values: bytes 5C inside a character of two bytes are
   * not taken for one. In a person name `^` and `=` end what an escape sequence began, too.
   */
  decode(bytes: Buffer, personName: boolean): string;
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: false });
const decoders = new Map<string, CharacterSet>();
/** Distinct spellings that are kept; what comes off the wire must not fill memory. */
const decodersMax = 200;
const keyLengthMax = 200;

/**
 * The character set that Specific Character Set (0008,0005) names (PS3.3 C.12.1.1.2): the default repertoire, ISO_IR
 * 100, 101, 109, 110, 144, 127, 126, 138, 148, 203, 13, 166, their ISO 2022 forms with IR 87, 159, 149 and 58,
 * ISO_IR 192, GB18030 and GBK. Common misspellings are understood. An unknown one, or bytes above 7F under the
 * default repertoire, are read as ISO_IR 100: a wrong letter that can be seen beats an object that cannot be filed.
 */
export function characterSetOf(values: readonly string[]): CharacterSet {
  const key = values.join('\\');
  let set = decoders.get(key);
  if (set === undefined) {
    set = makeCharacterSet(values);
    if (decoders.size < decodersMax && key.length < keyLengthMax) decoders.set(key, set);
  }
  return set;
}

function makeCharacterSet(values: readonly string[]): CharacterSet {
  const names = values.map((value) => registrationOf(value));
  const first = names[0] ?? '';
  if (names.includes('192')) return { decode: (bytes) => utf8.decode(bytes) };
  if (first === 'GB18030' || first === 'GBK') return { decode: (bytes) => iconv.decode(bytes, first) };
  return new Iso2022Decoder(names);
}

/** `ISO 2022 IR 100`, `ISO_IR 100`, `ISO-IR-100` … give `100`; `GB18030` and `GBK` themselves; `UTF-8` gives `192`. */
function registrationOf(value: string): string {
  const text = value.trim().toUpperCase();
  const [, number] = /^ISO[ _-]?(?:2022[ _-]?)?IR[ _-]?(\d+)$/.exec(text) ?? [];
  if (number !== undefined) return number;
  if (/^UTF[ _-]?8$/.test(text)) return '192';
  const [, part] = /^ISO[ _-]?8859[ _-](\d+)$/.exec(text) ?? [];
  if (part !== undefined) return registrationByPart[part] ?? '';
  return text;
}

const registrationByPart: { readonly [part: string]: string } = {
  '1': '100',
  '2': '101',
  '3': '109',
  '4': '110',
  '5': '144',
  '6': '127',
  '7': '126',
  '8': '138',
  '9': '148',
  '11': '166',
  '15': '203',
};
