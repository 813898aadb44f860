import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { uids } from '@isthmus/dicom';
import { kindOf, proposalFor } from './proposal.ts';

const explicit = uids.ExplicitVrLittleEndian;
const implicit = uids.ImplicitVrLittleEndian;
const jpeg = '1.2.840.10008.1.2.4.50';
const object = (sopClassUid: string, transferSyntaxUid: string) => ({ sopClassUid, transferSyntaxUid });

describe('a proposal', () => {
  it('has one context for each SOP class with each stored transfer syntax', () => {
    const wanted = [
      object('1.1', explicit),
      object('1.1', jpeg),
      object('1.1', explicit),
      object('1.2', explicit),
    ];
    const { contexts, kinds } = proposalFor(wanted);
    assert.deepEqual(
      contexts.map((one) => [one.sopClassUid, ...one.transferSyntaxUids]),
      [
        ['1.1', explicit],
        ['1.1', jpeg],
        ['1.2', explicit],
      ],
    );
    assert.deepEqual([...kinds], [...new Set(wanted.map(kindOf))]);
  });

  it('has what an object may be converted to, once for each class, and nothing for what cannot be', () => {
    const wanted = [object('1.1', explicit), object('1.1', implicit), object('1.2', jpeg)];
    const { contexts } = proposalFor(wanted, [explicit, implicit]);
    assert.deepEqual(
      contexts.map((one) => [one.sopClassUid, ...one.transferSyntaxUids]),
      [
        ['1.1', explicit],
        ['1.1', implicit],
        ['1.2', jpeg],
      ],
    );
  });

  it('leaves what is beyond 128 contexts to another one', () => {
    const wanted = Array.from({ length: 200 }, (_, n) => object(`1.${n}`, explicit));
    assert.deepEqual([proposalFor(wanted).contexts.length, proposalFor(wanted).kinds.size], [128, 128]);
    const both = proposalFor(wanted, [implicit]);
    assert.deepEqual([both.contexts.length, both.kinds.size], [128, 64]);
    const rest = wanted.filter((one) => !both.kinds.has(kindOf(one)));
    assert.equal(proposalFor(rest, [implicit]).kinds.size, 64);
  });
});
