import iconv from 'iconv-lite';

/** What a code element (G0: bytes 21-7E, G1: A0-FF) stands for at some place in a text. */
type Designation =
  | { readonly kind: 'single'; readonly table: readonly string[] }
  | { readonly kind: 'double'; readonly decode: (first: number, second: number) => string };

const ascii = single((byte) => String.fromCharCode(byte));
/** JIS X 0201 romaji differs from ASCII in two places. */
const romaji = single((byte) => (byte === 0x5c ? '¥' : byte === 0x7e ? '‾' : String.fromCharCode(byte)));
const katakana = single((byte) =>
  byte >= 0xa1 && byte <= 0xdf ? String.fromCharCode(0xff61 + byte - 0xa1) : '\ufffd',
);
const latin1 = highHalf('iso-8859-1');

/** G1 of the single-byte sets, by ISO registration number and by the final byte of `ESC 2D F` (PS3.3 Table C.12-3). */
const singleByteSets: readonly (readonly [registration: string, final: number, encoding: string])[] = [
  ['100', 0x41, 'iso-8859-1'],
  ['101', 0x42, 'iso-8859-2'],
  ['109', 0x43, 'iso-8859-3'],
  ['110', 0x44, 'iso-8859-4'],
  ['144', 0x4c, 'iso-8859-5'],
  ['127', 0x47, 'iso-8859-6'],
  ['126', 0x46, 'iso-8859-7'],
  ['138', 0x48, 'iso-8859-8'],
  ['148', 0x4d, 'iso-8859-9'],
  ['166', 0x54, 'iso-8859-11'],
  ['203', 0x62, 'iso-8859-15'],
];

const jisX0208 = double('eucjp', []);
/** EUC-JP puts JIS X 0212 behind 8F. */
const jisX0212 = double('eucjp', [0x8f]);
const ksX1001 = double('euckr', []);
const gb2312 = double('gb2312', []);

const initialG1: ReadonlyMap<string, Designation> = new Map<string, Designation>([
  ...singleByteSets.map(([number, , encoding]): [string, Designation] => [number, highHalf(encoding)]),
  ['13', katakana],
  ['149', ksX1001],
  ['58', gb2312],
]);

/**
 * Escape sequences without ESC itself, as text, longest first where one begins like another (PS3.3 Table C.12-3, -4).
 */
const escapes: readonly (readonly [sequence: string, element: 'g0' | 'g1', Designation])[] = [
  ['$(D', 'g0', jisX0212],
  ['$)C', 'g1', ksX1001],
  ['$)A', 'g1', gb2312],
  ['$B', 'g0', jisX0208],
  ['$@', 'g0', jisX0208],
  ['(B', 'g0', ascii],
  ['(J', 'g0', romaji],
  [')I', 'g1', katakana],
  ...singleByteSets.map(([number, final]): readonly [string, 'g1', Designation] => [
    `-${String.fromCharCode(final)}`,
    'g1',
    initialG1.get(number)!,
  ]),
];

const escape = 0x1b;
const backslash = 0x5c;

/**
 * Code extension techniques of ISO 2022 (PS3.5 6.1.2.5): begins with what the first value of Specific Character Set
 * says, follows escape sequences, and begins again at every delimiter: backslash, control characters, and `^` and
 * `=` of names. Bytes above 7F before any escape sequence, which only a faulty writer sends when the first value has
 * no G1, are read in the first set that was announced, else as ISO_IR 100. Every sequence of PS3.3 is followed
 * whether it was announced or not, and a KS X 1001 or GB 2312 byte pair ends at a byte that cannot be its second
 * half, so that damaged text damages nothing around it.
 */
export class Iso2022Decoder {
  readonly #g0: Designation;
  readonly #g1: Designation;

  /** @param registrations ISO registration number of each value; '' and unknown ones are the default repertoire */
  constructor(registrations: readonly string[]) {
    this.#g0 = registrations[0] === '13' ? romaji : ascii;
    const announced = registrations.find((registration) => initialG1.has(registration));
    this.#g1 = announced === undefined ? latin1 : initialG1.get(announced)!;
  }

  decode(bytes: Buffer, personName: boolean): string {
    if (this.#g0 === ascii && isAscii(bytes)) return bytes.toString('latin1');
    let text = '';
    let g0 = this.#g0;
    let g1 = this.#g1;
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte === escape) {
        const found = escapeAt(bytes, at + 1);
        if (found === undefined) continue;
        if (found[1] === 'g0') g0 = found[2];
        else g1 = found[2];
        at += found[0].length;
        continue;
      }
      const code = byte < 0x80 ? g0 : g1;
      if (byte < 0x20 || (g0.kind === 'single' && isDelimiter(byte, personName))) {
        g0 = this.#g0;
        g1 = this.#g1;
        text += String.fromCharCode(byte);
      } else if (byte === 0x20) {
        text += ' ';
      } else if (code.kind === 'single') {
        text += code.table[byte] ?? '\ufffd';
      } else {
        const second = bytes[at + 1];
        if (second === undefined || byte >= 0x80 !== second >= 0x80 || (second & 0x7f) < 0x21) {
          text += '\ufffd';
        } else {
          text += code.decode(byte | 0x80, second | 0x80);
          at++;
        }
      }
    }
    return text;
  }
}

function escapeAt(bytes: Buffer, at: number) {
  return escapes.find(([sequence]) => {
    for (let index = 0; index < sequence.length; index++) {
      if (bytes[at + index] !== sequence.charCodeAt(index)) return false;
    }
    return true;
  });
}

function isDelimiter(byte: number, personName: boolean): boolean {
  return byte === backslash || (personName && (byte === 0x5e || byte === 0x3d));
}

function isAscii(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) if (bytes[at]! >= 0x80 || bytes[at] === escape) return false;
  return true;
}

function single(character: (byte: number) => string): Designation {
  return { kind: 'single', table: Array.from({ length: 256 }, (_, byte) => character(byte)) };
}

function highHalf(encoding: string): Designation {
  return single((byte) => iconv.decode(Buffer.of(byte), encoding));
}

/** Pairs are kept once decoded: there are fewer than 10,000 in a set, and asking for each is slow. */
function double(encoding: string, prefix: readonly number[]): Designation {
  const known = new Map<number, string>();
  return {
    kind: 'double',
    decode: (first, second) => {
      const pair = first * 0x100 + second;
      let character = known.get(pair);
      if (character === undefined) {
        character = iconv.decode(Buffer.of(...prefix, first, second), encoding);
        known.set(pair, character);
      }
      return character;
    },
  };
}
