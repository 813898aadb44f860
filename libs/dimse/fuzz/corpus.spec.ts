import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readCorpus } from './corpus.ts';
import { attempt } from './loop.ts';
import { minimise } from './minimise.ts';
import { Mutator } from './mutation.ts';
import { Random } from './random.ts';
import { Failure } from './target.ts';
import type { Target } from './target.ts';
import { targets } from './targets.ts';

/** Inputs per target that are made anew in each run of the tests; the same ones each time. */
const mutatedInputs = 1_500;

function assertHolds(target: Target, name: string, input: Buffer): void {
  const { error } = attempt(target, input);
  assert.equal(error, undefined, `${name} (${input.toString('hex').slice(0, 400)}): ${error?.message ?? ''}`);
}

describe('what a peer sends', () => {
  for (const target of targets) {
    it(`[R6] ${target.name}: recorded messages and inputs that once mattered give the same, however cut`, () => {
      for (const [index, input] of target.seeds.entries()) assertHolds(target, `seed ${index}`, input);
      for (const [name, input] of readCorpus(target.name)) assertHolds(target, name, input);
    });

    it(`[R6] ${target.name}: ${mutatedInputs} damaged messages are read or refused, never worse`, () => {
      const random = new Random(20_261_122);
      const mutator = new Mutator(random, target.dictionary);
      const known = [...target.seeds, ...readCorpus(target.name).values()];
      for (let count = 0; count < mutatedInputs; count += 1) {
        assertHolds(target, `input ${count}`, mutator.mutate(random.pick(known), random.pick(known)));
      }
    });
  }
});

describe('the fuzzer', () => {
  const brittle: Target = {
    name: 'brittle',
    seeds: [],
    dictionary: [],
    run(input) {
      if (input.includes('bad')) throw new Failure('round trip', 'bad');
      if (input.includes('worse')) throw new TypeError('worse');
      return '';
    },
  };

  it('takes an error that the code does not promise for a failure', () => {
    assert.equal(attempt(brittle, Buffer.from('fine')).error, undefined);
    assert.equal(attempt(brittle, Buffer.from('a bad one')).error?.kind, 'round trip');
    assert.equal(attempt(brittle, Buffer.from('worse')).error?.kind, 'foreign error');
  });

  it('makes a failing input as small as it gets', () => {
    const fails = (input: Buffer): boolean => attempt(brittle, input).error !== undefined;
    assert.equal(minimise(Buffer.from('some text with a bad word in it'), fails).toString(), 'bad');
  });

  it('makes the same inputs for the same seed', () => {
    const inputs = (seed: number): string[] => {
      const mutator = new Mutator(new Random(seed), [Buffer.from('word')]);
      const parent = Buffer.alloc(64, 'parent');
      return Array.from({ length: 50 }, () => mutator.mutate(parent, Buffer.from('other')).toString('hex'));
    };
    assert.deepEqual(inputs(1), inputs(1));
    assert.notDeepEqual(inputs(1), inputs(2));
  });
});
