import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, reportStatus, studyInstanceUid } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { digest } from './digest.ts';
import type { ChangeEvent } from './events.ts';
import type { Register, RegisterMap } from './registers.ts';
import type { Report } from './reports.ts';
import { objectsSinceApproval, reportStatuses, reportsOf } from './reports.ts';

function shown(site: StudyAt): Report {
  const [report] = site.shows().reports;
  assert.ok(report);
  return report;
}

function approved(cluster = 'north'): StudyAt {
  const site = given(cluster);
  site.does(reportStatus('APPROVED', { by: 'dr.a', reportId: 'R1' }));
  return site;
}

describe('an addendum', () => {
  it('[U8] never hides the approval before it, while it goes from dictated to approved', () => {
    const north = approved();
    north.does(reportStatus('DICTATED', { addendum: true, by: 'dr.b', reportId: 'R2' }));
    assert.deepEqual(
      [
        shown(north).status,
        shown(north).addendum,
        shown(north).revision,
        shown(north).lastApproved?.reportId,
      ],
      ['DICTATED', true, 2, 'R1'],
    );
    north.does(reportStatus('TRANSCRIBED', { addendum: true }));
    assert.deepEqual([shown(north).revision, shown(north).lastApproved?.by], [2, 'dr.a']);
    north.does(reportStatus('APPROVED', { by: 'dr.b' }));
    assert.deepEqual(
      [shown(north).status, shown(north).addendum, shown(north).lastApproved?.reportId],
      ['APPROVED', true, 'R2'],
    );
  });
  it('may come approved, once for each report', () => {
    const north = approved();
    const addendum = reportStatus('APPROVED', { addendum: true, reportId: 'R2' });
    assert.equal(north.does(addendum).length, 1);
    assert.deepEqual(north.does(addendum), []);
    assert.equal(shown(north).revision, 2);
    north.does(reportStatus('APPROVED', { addendum: true, reportId: 'R3' }));
    assert.equal(shown(north).revision, 3);
  });
  it('needs an approved report, and a status', () => {
    const north = given();
    north.refuses(reportStatus('DICTATED', { addendum: true }), 'VALUE_INVALID', '/addendum');
    north.does(reportStatus('DICTATED'));
    north.refuses(reportStatus('APPROVED', { addendum: true }), 'VALUE_INVALID', '/addendum');
    approved().refuses(reportStatus('UNKNOWN', { addendum: true }), 'VALUE_INVALID', '/status');
    approved().refuses(reportStatus('NEW', { addendum: true, reopen: true }), 'VALUE_INVALID', '/retract');
  });
  it('[U16] stays one when a version that does not know of addenda takes it further', () => {
    const north = approved();
    const [event] = north.does(reportStatus('DICTATED', { addendum: true }));
    const older = approved('south').takes(event as ChangeEvent);
    north.takes(...older.does(reportStatus('APPROVED')));
    assert.equal(shown(north).addendum, true);
  });
});

describe('a retraction', () => {
  it('[U8] takes back the approvals that its author saw; a reopening does not', () => {
    const north = approved();
    north.does(reportStatus('NEW', { reopen: true }));
    assert.equal(shown(north).lastApproved?.by, 'dr.a');
    north.does(reportStatus('NEW', { retract: true, by: 'dr.c', reason: 'wrong patient' }));
    assert.deepEqual(
      [shown(north).status, shown(north).revision, shown(north).lastApproved],
      ['NEW', 3, undefined],
    );
    assert.deepEqual(north.does(reportStatus('NEW', { retract: true })), []);
    north.does(reportStatus('APPROVED', { by: 'dr.d' }));
    assert.equal(shown(north).lastApproved?.by, 'dr.d');
  });
  it('leaves an addendum standing that was approved unseen, and raises the alert', () => {
    const north = approved();
    const south = given('south').takes(...eventsOf(north));
    const addendum = south.does(reportStatus('APPROVED', { addendum: true, by: 'dr.s', reportId: 'R2' }));
    const retraction = north.does(reportStatus('NEW', { retract: true }));
    for (const site of [north.takes(...addendum), south.takes(...retraction)]) {
      assert.deepEqual([shown(site).status, shown(site).lastApproved?.by], ['NEW', 'dr.s']);
      assert.deepEqual(
        shown(site).overtaken?.map(({ by }) => by),
        ['dr.s'],
      );
    }
  });
  it('needs an approval, and is none itself', () => {
    const north = given();
    north.does(reportStatus('DICTATED'));
    north.refuses(reportStatus('NEW', { retract: true }), 'VALUE_INVALID', '/retract');
    approved().refuses(reportStatus('APPROVED', { retract: true }), 'VALUE_INVALID', '/status');
  });
});

describe('a report in its last revision', () => {
  it('cannot be opened again, rather than into one that nobody reads', () => {
    const north = approved();
    const reports = JSON.stringify(north.study['reports']).replace('1.base', '999999999.base');
    north.study = { ...north.study, reports: JSON.parse(reports) as Register };
    assert.equal(shown(north).status, 'APPROVED');
    north.refuses(reportStatus('NEW', { reopen: true }), 'VALUE_INVALID', '/reopen');
    north.refuses(reportStatus('NEW', { retract: true }), 'VALUE_INVALID', '/retract');
    north.refuses(reportStatus('NEW', { addendum: true }), 'VALUE_INVALID', '/addendum');
  });
});

describe('a reopening that overtakes an approval', () => {
  /** Both know the report as transcribed; south reopens it while north approves. */
  function overtaken(): { north: StudyAt; south: StudyAt } {
    const north = given('north');
    const south = given('south').takes(...north.does(reportStatus('TRANSCRIBED')));
    const reopening = south.does(reportStatus('NEW', { reopen: true, by: 'dr.s' }));
    const approval = north.does(reportStatus('APPROVED', { by: 'dr.n' }));
    north.takes(...reopening);
    south.takes(...approval);
    return { north, south };
  }
  it('[U13] is an alert at both, and the approval stays in view', () => {
    const { north, south } = overtaken();
    for (const site of [north, south]) {
      assert.equal(shown(site).status, 'NEW');
      assert.equal(shown(site).lastApproved?.by, 'dr.n');
      assert.deepEqual(
        shown(site).overtaken?.map(({ by, revision }) => [by, revision]),
        [['dr.n', 1]],
      );
    }
  });
  it('ends the alert when the report is approved anew', () => {
    const { north } = overtaken();
    north.does(reportStatus('APPROVED', { by: 'dr.x' }));
    assert.equal(shown(north).overtaken, undefined);
  });
  it('is none when the approval had been seen', () => {
    const north = approved();
    north.does(reportStatus('NEW', { reopen: true }));
    assert.equal(shown(north).overtaken, undefined);
  });
  it('is none where an older version opened the revision, which does not say what it saw', () => {
    const { north } = overtaken();
    const reports = JSON.parse(JSON.stringify(north.study['reports'])) as {
      entries: { A1: { entries: { [name: string]: unknown } } };
    };
    delete reports.entries.A1.entries['opened.2.south'];
    const [report] = reportsOf({ ...north.study, reports: reports as never });
    assert.deepEqual([report?.status, report?.addendum, report?.overtaken], ['NEW', false, undefined]);
  });
});

const clusters = ['north', 'south', 'east'] as const;
const steps = fc.array(
  fc.record({
    at: fc.nat(2),
    status: fc.constantFrom(...reportStatuses),
    flag: fc.constantFrom('reopen', 'addendum', 'retract', undefined),
    hears: fc.array(fc.nat(2), { maxLength: 2 }),
  }),
  { maxLength: 14 },
);

describe('reports opened again in every way at three clusters', () => {
  it('[U10] end the same everywhere, and an approval goes out of view only by a retraction', () => {
    fc.assert(
      fc.property(steps, fc.gen(), (schedule, gen) => {
        const sites = clusters.map((cluster) => given(cluster));
        const events: ChangeEvent[] = [];
        let retracted = false;
        let everApproved = false;
        for (const { at, status, flag, hears } of schedule) {
          const site = sites[at] as StudyAt;
          const decision = site.tries(reportStatus(status, flag ? { [flag]: true } : {}));
          if (!('events' in decision)) continue;
          retracted ||= flag === 'retract';
          everApproved ||= decision.events.length > 0 && status === 'APPROVED';
          site.takes(...decision.events);
          events.push(...decision.events);
          for (const listener of hears) sites[listener]?.takes(...decision.events);
          const [report] = site.shows().reports;
          if (report?.status === 'APPROVED') assert.ok(report.lastApproved);
        }
        const digests = sites.map((site) => {
          const order = events.map((event) => [gen(fc.nat), event] as const).sort(([a], [b]) => a - b);
          site.takes(...order.map(([, event]) => event));
          const [report] = site.shows().reports;
          if (everApproved && !retracted) assert.ok(report?.lastApproved);
          return digest(site.study);
        });
        assert.equal(new Set(digests).size, 1);
      }),
      { numRuns: 500 },
    );
  });
});

describe('objects since the approval', () => {
  const announce = (count: number, images?: number) =>
    ({
      type: 'AnnounceObjects',
      studyInstanceUid,
      count,
      digest: count.toString(16).padStart(64, '0'),
      ...(images === undefined ? {} : { images }),
    }) as const;

  it('[U17] are the images that came after it, at every holder, until somebody approves with them', () => {
    const north = given();
    north.objects = { count: 10, images: 10 };
    const south = given('south').takes(...north.does(reportStatus('APPROVED')));
    assert.equal(objectsSinceApproval(north.study), 0);
    // The announcement of what had been read is no news, nor is the report itself (an SR).
    south.takes(...north.does(announce(11, 10)));
    assert.equal(objectsSinceApproval(south.study), 0);
    south.takes(...north.does(announce(14, 12)));
    assert.equal(objectsSinceApproval(south.study), 2);
    south.objects = { count: 14, images: 12 };
    south.does(reportStatus('APPROVED', { addendum: true }));
    assert.equal(objectsSinceApproval(south.study), 0);
  });
  it('[U17] count what is here before anybody announced it', () => {
    const north = given();
    north.objects = { count: 10, images: 10 };
    north.does(reportStatus('APPROVED'));
    assert.equal(objectsSinceApproval(north.study, { count: 13, images: 13 }), 3);
  });
  it('[U17] count objects where an older version announced them without images', () => {
    const north = given();
    north.objects = { count: 10, images: 8 };
    north.does(reportStatus('APPROVED'));
    north.does(announce(12));
    assert.equal(objectsSinceApproval(north.study), 2);
  });
  it('[U17] count from the newest approval of several reports, and none after a retraction', () => {
    const north = given();
    north.objects = { count: 5, images: 5 };
    north.does(reportStatus('APPROVED'));
    north.objects = { count: 10, images: 10 };
    north.does(reportStatus('APPROVED', { accessionNumber: 'B7' }));
    north.does(announce(10, 10));
    assert.equal(objectsSinceApproval(north.study), 0);
    north.does(announce(12, 12));
    assert.equal(objectsSinceApproval(north.study), 2);
    north.does(reportStatus('NEW', { accessionNumber: 'B7', retract: true }));
    assert.equal(objectsSinceApproval(north.study), 7);
    north.does(reportStatus('NEW', { retract: true }));
    assert.equal(objectsSinceApproval(north.study), 0);
  });
  it('are none in a study that nobody approved, and where nobody says what he had seen', () => {
    const north = given();
    north.does(announce(12, 12));
    assert.equal(objectsSinceApproval(north.study), 0);
    north.does(reportStatus('APPROVED'));
    assert.equal(objectsSinceApproval(north.study), 0);
    assert.equal(objectsSinceApproval({ objects: 7 } as unknown as RegisterMap), 0);
  });
});

/** Everything that a cluster knows of the study, as one event. */
function eventsOf(site: StudyAt): readonly ChangeEvent[] {
  const [event] = given('east').does(reportStatus('DICTATED'));
  assert.ok(event);
  return [{ ...event, data: { ...event.data, registers: site.study } }];
}
