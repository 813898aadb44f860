import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { characterSetOf } from './character-sets.ts';

/** Bytes from text in which `\x..` stands for a byte. */
function decode(characterSet: readonly string[], bytes: string, personName = true): string {
  return characterSetOf(characterSet).decode(Buffer.from(bytes, 'latin1'), personName);
}

test('[Q13] reads the Japanese example of PS3.5 Annex H.3.1', () => {
  const name = 'Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B';
  assert.equal(decode(['', 'ISO 2022 IR 87'], name), 'Yamada^Tarou=山田^太郎=やまだ^たろう');
});

test('[Q13] reads the Japanese example of PS3.5 Annex H.3.2, which begins in katakana of one byte', () => {
  const name =
    '\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J';
  assert.equal(decode(['ISO 2022 IR 13', 'ISO 2022 IR 87'], name), 'ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう');
});

test('[Q13] reads the Korean example of PS3.5 Annex I.2', () => {
  const name = 'Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf';
  assert.equal(decode(['', 'ISO 2022 IR 149'], name), 'Hong^Gildong=洪^吉洞=홍^길동');
});

test('[Q13] reads the Chinese examples of PS3.5 Annexes J and K', () => {
  assert.equal(
    decode(['ISO_IR 192'], Buffer.from('Wang^XiaoDong=王^小東').toString('latin1')),
    'Wang^XiaoDong=王^小東',
  );
  assert.equal(decode(['GB18030'], 'Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab'), 'Wang^XiaoDong=王^小东');
  assert.equal(decode(['GBK'], 'Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab'), 'Wang^XiaoDong=王^小东');
  assert.equal(
    decode(['', 'ISO 2022 IR 58'], 'Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab'),
    'Zhang^XiaoDong=张^小东',
  );
});

test('[Q13] reads every set of one byte, with and without code extensions', () => {
  const samples: readonly (readonly [string, string, string])[] = [
    ['100', '\xc4neas^R\xfcdiger', 'Äneas^Rüdiger'],
    ['101', 'W\xb3odzimierz', 'Włodzimierz'],
    ['109', '\xa6ara', 'Ĥara'],
    ['110', '\xb9iga', 'šiga'],
    ['144', '\xbb\xee\xdace\xdc\xd1yp\xd3', 'Люкceмбypг'],
    ['127', '\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1', 'قباني^لنزار'],
    ['126', '\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2', 'Διονυσιος'],
    ['138', '\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4', 'שרון^דבורה'],
    ['148', '\xdd\xfe\xf0', 'İşğ'],
    ['166', '\xca\xc1\xaa\xd2\xc2', 'สมชาย'],
    ['203', '\xa4\xbd', '€œ'],
  ];
  for (const [number, bytes, text] of samples) {
    assert.equal(decode([`ISO_IR ${number}`], bytes), text, number);
    assert.equal(decode([`ISO 2022 IR ${number}`], bytes), text, number);
  }
});

test('follows an escape sequence to another set of one byte until the next delimiter', () => {
  const sets = ['ISO 2022 IR 100', 'ISO 2022 IR 144', 'ISO 2022 IR 126'];
  assert.equal(decode(sets, 'Dionysios=\x1b-F\xc4\xe9\xef\xed=\xc4'), 'Dionysios=Διον=Ä');
  assert.equal(decode(sets, '\x1b-F\xc4\\\xc4', false), 'Δ\\Ä');
});

test('a backslash inside a character of two bytes separates nothing', () => {
  // GBK 815C is a letter, and so is 7C5C of JIS X 0208 in its seven-bit form.
  assert.equal(decode(['GBK'], '\x81\x5c\\b', false).split('\\').length, 2);
  assert.equal(decode(['GB18030'], '\x81\x5c\\b', false).split('\\').length, 2);
  assert.equal(decode(['', 'ISO 2022 IR 87'], '\x1b$B0\x5c\x1b(B\\b', false).split('\\').length, 2);
});

test('JIS X 0212 and romaji have their own letters', () => {
  assert.equal(decode(['', 'ISO 2022 IR 159'], '\x1b$(D0!\x1b(B'), '丂');
  assert.equal(decode(['ISO_IR 13'], 'a~\xb1', false), 'a‾ｱ');
});

test('what writers get wrong is read as well as it can be', () => {
  assert.equal(decode(['ISO-IR 100'], '\xe9'), 'é');
  assert.equal(decode(['ISO IR 100'], '\xe9'), 'é');
  assert.equal(decode(['ISO8859-1'], '\xe9'), 'é');
  assert.equal(decode(['UTF-8'], '\xc3\xa9'), 'é');
  assert.equal(decode([], '\xe9'), 'é');
  assert.equal(decode(['KLINGON'], '\xe9'), 'é');
  assert.equal(decode(['', 'ISO 2022 IR 149'], '\xc8\xab^\xb1\xe6\xb5\xbf'), '홍^길동');
  assert.equal(decode(['', 'ISO 2022 IR 87'], '\x1b$B;3E'), '山\ufffd');
});

test('any bytes in any character set become text, at once', () => {
  const names = [
    '',
    'ISO_IR 100',
    'ISO_IR 13',
    'ISO 2022 IR 87',
    'ISO 2022 IR 149',
    'ISO_IR 192',
    'GB18030',
    'GBK',
  ];
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(...names)),
      fc.uint8Array({ maxLength: 200 }),
      fc.boolean(),
      (set, bytes, name) => {
        assert.equal(typeof characterSetOf(set).decode(Buffer.from(bytes), name), 'string');
      },
    ),
    { numRuns: 2000 },
  );
});

test('plain ASCII is the same in every character set', () => {
  const names = [
    '',
    'ISO_IR 100',
    'ISO_IR 144',
    'ISO 2022 IR 87',
    'ISO 2022 IR 149',
    'ISO_IR 192',
    'GB18030',
    'GBK',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.string({ unit: 'grapheme-ascii' }), (set, text) => {
      assert.equal(characterSetOf([set]).decode(Buffer.from(text, 'latin1'), true), text);
    }),
  );
});
