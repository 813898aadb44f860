import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dataSets } from '../test/arbitraries.ts';
import {
  element,
  keysNotAnswered,
  matchesIdentifier,
  matchesKey,
  matchesWildcard,
  tags,
  uidsOf,
} from './index.ts';
import type { DataSetJson } from './index.ts';

function matches(vr: string, key: string, value: string): boolean {
  return matchesKey(vr, element(vr, key).Value ?? [], element(vr, value).Value ?? []);
}

test('[Q13] a key without value, or with stars alone, matches everything, also nothing', () => {
  for (const key of ['', '*', '**']) {
    assert.equal(matches('LO', key, 'x'), true);
    assert.equal(matches('LO', key, ''), true);
    assert.equal(matches('PN', key, 'DOE'), true);
  }
  assert.equal(matches('LO', 'x', ''), false);
});

test('[Q13] text matches exactly but for padding, names without letter case', () => {
  assert.equal(matchesKey('LO', ['AB '], ['AB']), true);
  assert.equal(matches('LO', 'ab', 'AB'), false);
  assert.equal(matches('PN', 'doe^john', 'DOE^JOHN'), true);
  assert.equal(matches('PN', 'müller', 'MÜLLER'), true);
  assert.equal(matches('PN', 'DOE', 'DOE^JOHN'), false);
});

test('[Q13] wildcards stand for any characters, or for one', () => {
  for (const [pattern, text, expected] of [
    ['a*', 'a', true],
    ['a*', 'abc', true],
    ['*c', 'abc', true],
    ['a*c', 'abbc', true],
    ['a*b*c', 'a1b2c', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['?', '山', true],
    ['?', '😀', true],
    ['a*b', 'ab', true],
    ['ab*ba', 'aba', false],
    ['*aab', 'aaab', true],
    ['a.c', 'abc', false],
    ['(a)*', '(a)b', true],
  ] as const) {
    assert.equal(matchesWildcard(pattern, text), expected, `${pattern} ${text}`);
  }
});

test('a wildcard agrees with the plain definition of it', () => {
  const slow = (pattern: string, text: string): boolean => {
    if (pattern === '') return text === '';
    if (pattern[0] === '*')
      return slow(pattern.slice(1), text) || (text !== '' && slow(pattern, text.slice(1)));
    return (
      text !== '' && (pattern[0] === '?' || pattern[0] === text[0]) && slow(pattern.slice(1), text.slice(1))
    );
  };
  const word = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), maxLength: 8 });
  fc.assert(
    fc.property(word('ab*?'), word('ab'), (pattern, text) => {
      assert.equal(matchesWildcard(pattern, text), slow(pattern, text));
    }),
    { numRuns: 5000 },
  );
});

test('a pattern of many stars takes no longer than its text allows', () => {
  assert.equal(matchesWildcard('*a'.repeat(2000) + 'b', 'a'.repeat(4000)), false);
});

test('[Q13] component groups of names match each other, a key of one group any of them', () => {
  const name = 'Yamada^Tarou=山田^太郎=やまだ^たろう';
  assert.equal(matches('PN', 'YAMADA*', name), true);
  assert.equal(matches('PN', '山田*', name), true);
  assert.equal(matches('PN', '=山田*', name), true);
  assert.equal(matches('PN', '山田*=', name), true);
  assert.equal(matches('PN', '山田*=山田*', name), false);
  assert.equal(matches('PN', 'Yamada*=山田*', name), true);
  assert.equal(matches('PN', 'Yamada^Tarou^^', name), true);
});

test('[Q13] fuzzy names match by beginnings, in any order, without accents, with one letter wrong', () => {
  const fuzzy = (key: string, value: string) =>
    matchesKey('PN', element('PN', key).Value!, element('PN', value).Value!, { fuzzyNames: true });
  assert.equal(fuzzy('muller', 'Müller^Jörg'), true);
  assert.equal(fuzzy('jorg mull', 'Müller^Jörg'), true);
  assert.equal(fuzzy('Smiht', 'SMITH^ANN'), true);
  assert.equal(fuzzy('Smitth', 'SMITH^ANN'), true);
  assert.equal(fuzzy('An?', 'SMITH^ANN'), true);
  assert.equal(fuzzy('Bob', 'SMITH^ANN'), false);
  assert.equal(fuzzy('smith^bob', 'SMITH^ANN'), false);
});

test('[Q13] dates and times match by range, bounds included, open at either end', () => {
  for (const [vr, key, value, expected] of [
    ['DA', '20240229', '20240229', true],
    ['DA', '20240101-20240131', '20240131', true],
    ['DA', '20240101-20240131', '20240201', false],
    ['DA', '20240101-', '20250101', true],
    ['DA', '-20240131', '20230101', true],
    ['DA', '-20240131', '20240201', false],
    ['DA', '20240101-20240131', '2024.01.15', true],
    ['DA', '20240101-', '', false],
    ['DA', '20240101-', 'unknown', false],
    ['TM', '10-12', '115959.999999', true],
    ['TM', '10-12', '125959', true],
    ['TM', '10-12', '130000', false],
    ['TM', '1015', '101559', true],
    ['TM', '101530', '101530.0', true],
    ['TM', '10:15', '1015', true],
    ['DT', '2024', '20240615101500', true],
    ['DT', '20240101-20240131', '20240131235959', true],
    ['DT', '202401-202402', '20240229', true],
    ['DT', '20240101120000+0100', '20240101110000+0000', true],
    ['DT', '20240101120000-0500-20240101130000-0500', '20240101173000+0000', true],
    ['DT', '2020-2022', '2021', true],
  ] as const) {
    assert.equal(matches(vr, key, value), expected, `${vr} ${key} ${value}`);
  }
});

test('a date and its time are matched together only when that was agreed', () => {
  const identifier = {
    [tags.StudyDate]: element('DA', '20240101-20240103'),
    [tags.StudyTime]: element('TM', '100000-180000'),
  };
  const row = (date: string, time: string) => ({
    [tags.StudyDate]: element('DA', date),
    [tags.StudyTime]: element('TM', time),
  });
  const combined = { combinedDateTime: true };
  assert.equal(matchesIdentifier(identifier, row('20240102', '030000')), false);
  assert.equal(matchesIdentifier(identifier, row('20240102', '030000'), combined), true);
  assert.equal(matchesIdentifier(identifier, row('20240101', '090000'), combined), false);
  assert.equal(matchesIdentifier(identifier, row('20240103', '180000'), combined), true);
  assert.equal(matchesIdentifier(identifier, row('20240103', '190000'), combined), false);
});

test('[Q13] a list of UIDs matches any of them, and lists on both sides meet', () => {
  const identifier = { [tags.StudyInstanceUID]: element('UI', '1.2', '1.3') };
  assert.equal(matchesIdentifier(identifier, { [tags.StudyInstanceUID]: element('UI', '1.3') }), true);
  assert.equal(matchesIdentifier(identifier, { [tags.StudyInstanceUID]: element('UI', '1.30') }), false);
  assert.deepEqual(uidsOf(identifier, tags.StudyInstanceUID), ['1.2', '1.3']);
  assert.equal(matchesKey('CS', ['PR', 'CT'], ['MR', 'CT']), true);
  assert.equal(matchesKey('CS', ['PR'], ['MR', 'CT']), false);
});

test('numbers match by value', () => {
  assert.equal(matchesKey('IS', ['007'], [7]), true);
  assert.equal(matchesKey('US', [512], [512]), true);
  assert.equal(matchesKey('IS', [7], [8]), false);
});

test('a sequence key matches when one item matches all its keys', () => {
  const item = (status: string, accession: string) => ({
    [tags.ScheduledProcedureStepStatus]: element('CS', status),
    [tags.AccessionNumber]: element('SH', accession),
  });
  const row = {
    [tags.ScheduledProcedureStepSequence]: element('SQ', item('ARRIVED', '1'), item('STARTED', '2')),
  };
  const key = (status: string, accession: string) => ({
    [tags.ScheduledProcedureStepSequence]: element('SQ', item(status, accession)),
  });
  assert.equal(matchesIdentifier(key('STARTED', '2'), row), true);
  assert.equal(matchesIdentifier(key('STARTED', '1'), row), false);
  assert.equal(matchesIdentifier(key('', ''), row), true);
  assert.equal(matchesIdentifier({ [tags.ScheduledProcedureStepSequence]: element('SQ') }, row), true);
});

test('what says how to answer is no key', () => {
  const identifier = {
    [tags.QueryRetrieveLevel]: element('CS', 'STUDY'),
    [tags.SpecificCharacterSet]: element('CS', 'ISO_IR 192'),
    [tags.InstanceAvailability]: element('CS', 'ONLINE'),
    [tags.RetrieveAETitle]: element('AE', 'NORTH'),
    '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
    '00731020': element('UI', '1.2.3'),
    '00731021': element('LO', 'north'),
    '00731022': element('UL', 5000),
  };
  assert.equal(matchesIdentifier(identifier, {}), true);
  assert.deepEqual(keysNotAnswered(identifier, {}), []);
});

test('private keys meet by creator, whatever block each side uses', () => {
  const identifier = {
    '00730010': element('LO', 'ISTHMUS STUDY 1.0'),
    '00731001': element('CS', 'APPROVED'),
  };
  const row = (status: string) => ({
    '00730022': element('LO', 'Isthmus Study 1.0'),
    '00732201': element('CS', status),
  });
  assert.equal(matchesIdentifier(identifier, row('APPROVED')), true);
  assert.equal(matchesIdentifier(identifier, row('NEW')), false);
  assert.equal(matchesIdentifier({ '00731001': element('CS', 'APPROVED') }, {}), true);
});

test('a row that lacks an attribute does not match, or is kept and can be marked', () => {
  const identifier = {
    [tags.InterpretationStatusID]: element('CS', 'APPROVED'),
    [tags.PatientID]: element('LO', '1'),
  };
  const row = { [tags.PatientID]: element('LO', '1') };
  assert.equal(matchesIdentifier(identifier, row), false);
  assert.equal(matchesIdentifier(identifier, row, { absent: 'match' }), true);
  assert.equal(
    matchesIdentifier(
      identifier,
      { ...row, [tags.InterpretationStatusID]: { vr: 'CS' } },
      { absent: 'match' },
    ),
    false,
  );
  assert.deepEqual(keysNotAnswered(identifier, row), [tags.InterpretationStatusID]);
});

test('every data set matches an identifier made of its own plain values', () => {
  const keys: readonly string[] = [
    tags.SOPClassUID,
    tags.StudyDate,
    tags.StudyTime,
    tags.AccessionNumber,
    tags.PatientName,
    tags.Rows,
  ];
  fc.assert(
    fc.property(dataSets, (row) => {
      const identifier: DataSetJson = Object.fromEntries(
        Object.entries(row).filter(([tag]) => keys.includes(tag)),
      );
      assert.equal(matchesIdentifier(identifier, row), true);
    }),
  );
});
