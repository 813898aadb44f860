import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, reportStatus } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { digest } from './digest.ts';
import type { ChangeEvent } from './events.ts';
import { reportKey, reportStatuses, statusRank, studyReportStatus } from './reports.ts';
import type { RegisterMap } from './registers.ts';

const clusters = ['north', 'south', 'east'] as const;
const steps = fc.array(
  fc.record({
    at: fc.integer({ min: 0, max: 2 }),
    status: fc.constantFrom(...reportStatuses),
    reopen: fc.boolean(),
    hears: fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
  }),
  { maxLength: 14 },
);

describe('reports of a study', () => {
  it('[U10] end the same everywhere after any steps at three clusters, heard in any order', () => {
    fc.assert(
      fc.property(steps, fc.infiniteStream(fc.integer({ min: 0, max: 1000 })), (schedule, random) => {
        const sites = clusters.map((cluster) => given(cluster));
        const events: ChangeEvent[] = [];
        for (const step of schedule) {
          const site = sites[step.at] as StudyAt;
          const decision = site.tries(reportStatus(step.status, { reopen: step.reopen }));
          if (!('events' in decision)) continue;
          site.takes(...decision.events);
          events.push(...decision.events);
          for (const listener of step.hears) sites[listener]?.takes(...decision.events);
        }
        const digests = sites.map((site) => {
          const order = events.map((event) => [random.next().value ?? 0, event] as const);
          site.takes(...order.sort(([a], [b]) => a - b).map(([, event]) => event));
          return digest(site.study);
        });
        assert.equal(new Set(digests).size, 1);
      }),
      { numRuns: 300 },
    );
  });
  it('never show APPROVED while a revision that somebody opened is not approved', () => {
    const north = given('north');
    const south = given('south').takes(...north.does(reportStatus('APPROVED')));
    const opened = south.does(reportStatus('NEW', { reopen: true }));
    north.does(reportStatus('NEW', { reopen: true }));
    north.does(reportStatus('APPROVED'));
    north.takes(...opened);
    assert.equal(north.shows().reportStatus, 'NEW');
  });
  it('order UNKNOWN below NEW below DICTATED below TRANSCRIBED below APPROVED', () => {
    assert.deepEqual(
      [...reportStatuses].sort((a, b) => statusRank(a) - statusRank(b)),
      reportStatuses,
    );
  });
  it('join a status set before the accession number was known to the report of that number', () => {
    const north = given('north', { header: { '00100020': { vr: 'LO', Value: ['P1'] } } });
    north.does(reportStatus('DICTATED'));
    north.takes(
      ...given('north').does({ type: 'ChangeStudy', studyInstanceUid: '1.2.3', accessionNumber: 'A9' }),
    );
    north.does(reportStatus('APPROVED'));
    assert.deepEqual(
      north.shows().reports.map(({ accessionNumber, status }) => [accessionNumber, status]),
      [['A9', 'APPROVED']],
    );
  });
  it('survive a cycle of corrections made apart', () => {
    const lww = (value: string): RegisterMap[string] => ({
      t: 'lww',
      value,
      rank: 1,
      hlc: '0000000000000001',
      origin: 'x',
    });
    const study: RegisterMap = {
      reportMoves: { t: 'map', entries: { A: lww('B'), B: lww('C'), C: lww('B') } },
    };
    assert.deepEqual(
      ['A', 'B', 'C'].map((key) => reportKey(study, key)),
      ['B', 'B', 'B'],
    );
  });
  it('pass over what a peer of another version wrote and nobody here can read', () => {
    const study = {
      reports: {
        t: 'map',
        entries: {
          A: {
            t: 'map',
            entries: { odd: 1, '1.base': { t: 'lww', value: 3, rank: 1, hlc: '', origin: '' } },
          },
          B: null,
        },
      },
    } as unknown as RegisterMap;
    assert.equal(studyReportStatus(study), 'UNKNOWN');
  });
});
