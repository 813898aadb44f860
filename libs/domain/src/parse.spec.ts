import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, reportStatus } from '../test/given-study.ts';
import { mergeRegisters } from './merge.ts';
import { incomingLimits, isMalformed, parseEvent, parseManifest, parseRegisters } from './parse.ts';

const [sound] = given().does(reportStatus('APPROVED'));
const wire = (): Record<string, unknown> => JSON.parse(JSON.stringify(sound)) as Record<string, unknown>;
const withRegisters = (registers: unknown): unknown => ({
  ...wire(),
  data: { aggregate: 'study', registers },
});
const lww = { t: 'lww', value: 1, rank: 1, hlc: '0000000000000001', origin: 'north' };

function refused(json: unknown): string {
  const answer = parseEvent(json);
  assert.ok(isMalformed(answer), 'was taken');
  return answer.pointer;
}

describe('events from a peer', () => {
  it('[U16] are taken as they are, unknown types, versions, fields and merge types included', () => {
    const event = { ...wire(), type: 'FromTheFuture', v: 9, extra: { a: 1 } };
    assert.equal(parseEvent(event), event);
    const later = withRegisters({ tally: { t: 'counter', per: { north: 3 } }, name: { ...lww, note: 'x' } });
    assert.equal(parseEvent(later), later);
  });
  for (const [what, json, pointer] of [
    ['no object', 7, ''],
    ['a missing id', { ...wire(), id: undefined }, ''],
    ['an empty id', { ...wire(), id: '' }, '/id'],
    ['a stamp in upper case', { ...wire(), hlc: '000001A2B3C4D5E6' }, '/hlc'],
    ['a stamp that nothing could beat', { ...wire(), hlc: 'ffffffffffffffff' }, '/hlc'],
    ['a path of non-clusters', { ...wire(), path: ['north', 'BAD NAME'] }, '/path/1'],
    ['a time that is none', { ...wire(), time: 'yesterday' }, '/time'],
    ['a study that is no UID', { ...wire(), subject: '1.2.>' }, '/subject'],
    ['an unknown aggregate', { ...wire(), data: { aggregate: 'house', registers: {} } }, '/data/aggregate'],
    ['no registers', { ...wire(), data: { aggregate: 'study' } }, '/data/registers'],
    ['a register without type', withRegisters({ a: {} }), '/data/registers/a/t'],
    ['a rank that is no integer', withRegisters({ a: { ...lww, rank: 1.5 } }), '/data/registers/a/rank'],
    ['a rank as text', withRegisters({ a: { ...lww, rank: '2' } }), '/data/registers/a/rank'],
    [
      'a register stamp beyond the scale',
      withRegisters({ a: { ...lww, hlc: 'fffffffffffffffe' } }),
      '/data/registers/a/hlc',
    ],
    ['a ranked register without stamp', withRegisters({ a: { ...lww, hlc: '' } }), '/data/registers/a/hlc'],
    ['a map of nothing', withRegisters({ 'a/b': { t: 'map' } }), '/data/registers/a~1b/entries'],
  ] as const) {
    it(`are refused with ${what}`, () => assert.equal(refused(json), pointer));
  }
  it('are refused with the names of prototypes, as JSON can carry them', () => {
    const text = JSON.stringify(wire()).replace(
      '"registers":{',
      '"registers":{"__proto__":{"t":"max","value":1},',
    );
    refused(JSON.parse(text));
    assert.equal(({} as { t?: unknown }).t, undefined);
  });
  it('are refused with numbers that are not finite', () => {
    refused(
      JSON.parse(
        JSON.stringify(withRegisters({ a: { ...lww, value: 1 } })).replace('"value":1', '"value":1e999'),
      ),
    );
  });
  it('are refused when nested beyond the limit, without running out of stack', () => {
    const depth = 50_000;
    const value: unknown = JSON.parse('['.repeat(depth) + ']'.repeat(depth));
    refused(withRegisters({ a: { ...lww, value } }));
  });
  it('are refused with more values than the limit', () => {
    refused(withRegisters({ a: { ...lww, value: new Array(incomingLimits.nodesMax + 1).fill(0) } }));
  });
  it('never make the check throw, and what passes never makes a merge throw', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom('id', 'hlc', 'path', 'data', 'v', 'registers'),
        (value, place) => {
          const event = place === 'registers' ? withRegisters(value) : { ...wire(), [place]: value };
          const answer = parseEvent(event);
          if (!isMalformed(answer) && sound) mergeRegisters(sound.data.registers, answer.data.registers);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe('states and manifests from a peer', () => {
  it('are taken when well formed', () => {
    assert.ok('registers' in parseRegisters({ a: lww }));
    const manifest = {
      studyInstanceUid: '1.2',
      series: [{ seriesInstanceUid: '1.3', modality: 'CT', instances: [['1.4', '1.5']] }],
    };
    assert.equal(parseManifest(manifest), manifest);
  });
  it('are refused when not', () => {
    assert.ok(isMalformed(parseRegisters([])));
    assert.ok(
      isMalformed(
        parseManifest({
          studyInstanceUid: '1.2',
          series: [{ seriesInstanceUid: '1.3', modality: 'CT', instances: [['../x', '1']] }],
        }),
      ),
    );
    assert.ok(isMalformed(parseManifest(null)));
  });
});
