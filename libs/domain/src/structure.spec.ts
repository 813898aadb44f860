import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { given, holding, reportStatus } from '../test/given-study.ts';
import type { StudyAt } from '../test/given-study.ts';
import { decideStructure, objectsPerCommandMax } from './decide-structure.ts';
import type { MoveObjects, StructureCommand } from './decide-structure.ts';
import type { ChangeEvent } from './events.ts';
import { mergeRegisters } from './merge.ts';
import { patientOf } from './decide-change-study.ts';
import { objectsSinceApproval, reportsOf, studyReportStatus } from './reports.ts';
import type { RegisterMap } from './registers.ts';
import {
  derivedStudy,
  dividedReferences,
  isUrgentRejection,
  placeObjects,
  rejectionOf,
  resolveStudy,
  structuralHolders,
  studyOfObject,
} from './structure.ts';
import { holdersOf } from './holders.ts';

const source = '1.2.3';
const target = '1.2.4';

/** The studies that one cluster knows, changed by structure commands. */
class StudiesAt {
  readonly cluster: string;
  studies: Record<string, RegisterMap> = {};
  nowMs = 2_000_000;
  private ids = 0;

  constructor(cluster = 'north', study?: StudyAt) {
    this.cluster = cluster;
    if (study) this.studies[source] = study.study;
  }

  takes(...events: readonly ChangeEvent[]): this {
    for (const { subject, data } of events)
      this.studies[subject] = mergeRegisters(this.studies[subject] ?? {}, data.registers);
    return this;
  }

  tries(command: StructureCommand): ReturnType<typeof decideStructure> {
    const now = new Date(++this.nowMs);
    const newId = (): string => `${this.cluster}-${++this.ids}`;
    const state = { study: this.studies[command.studyInstanceUid] ?? {}, patients: {} };
    return decideStructure(command, state, { cluster: this.cluster, now, clock: '', newId });
  }

  does(command: StructureCommand): readonly ChangeEvent[] {
    const decision = this.tries(command);
    assert.ok('events' in decision, JSON.stringify(decision));
    this.takes(...decision.events);
    return decision.events;
  }

  refuses(command: StructureCommand, pointer: string): void {
    const decision = this.tries(command);
    assert.ok('refused' in decision);
    assert.deepEqual([decision.refused.code, decision.refused.pointer], ['VALUE_INVALID', pointer]);
  }

  placeOf(sop: string): string {
    return studyOfObject(sop, source, this.studies);
  }
}

const move = (sops: readonly string[], to = target, more: Partial<MoveObjects> = {}): MoveObjects => ({
  type: 'MoveObjects',
  studyInstanceUid: source,
  sopInstanceUids: sops,
  kind: 'split',
  to,
  ...more,
});
const reject = (sops: readonly string[], reason: '113001' | '113037' = '113001'): StructureCommand => ({
  type: 'RejectObjects',
  studyInstanceUid: source,
  sopInstanceUids: sops,
  reason,
});
const restore = (sops: readonly string[]): StructureCommand => ({
  type: 'RestoreObjects',
  studyInstanceUid: source,
  sopInstanceUids: sops,
});
const mergeInto = (into: string, study = source): StructureCommand => ({
  type: 'MergeStudies',
  studyInstanceUid: study,
  into,
});

describe('rejecting objects', () => {
  it('[U6] takes them out for a reason, each by itself, and back in, as often as wanted', () => {
    const north = new StudiesAt();
    north.does(reject(['1.1', '1.2']));
    north.does(restore(['1.1']));
    const study = (): RegisterMap => north.studies[source] ?? {};
    assert.deepEqual([rejectionOf(study(), '1.1'), rejectionOf(study(), '1.2')], [undefined, '113001']);
    north.does(reject(['1.1'], '113037'));
    assert.equal(rejectionOf(study(), '1.1'), '113037');
    assert.deepEqual(north.does(reject(['1.1'], '113037')), []);
    assert.deepEqual(north.does(restore(['1.9'])), []);
  });
  it('[U6] stands though the object comes later, and was deleted where it was only visited', () => {
    const [event] = new StudiesAt('south').does(reject(['1.7']));
    const north = new StudiesAt('north', given()).takes(event as ChangeEvent);
    assert.deepEqual(placeObjects({ [source]: ['1.6', '1.7'] }, north.studies).get(source), [
      { sopInstanceUid: '1.6', cameWith: source },
      { sopInstanceUid: '1.7', cameWith: source, rejected: '113001' },
    ]);
  });
  it('knows which rejections cannot wait', () => {
    assert.deepEqual((['113001', '113037', '113038', '113039'] as const).map(isUrgentRejection), [
      false,
      true,
      true,
      false,
    ]);
  });
  it('refuses what is no reason, no UID, none and too many', () => {
    const north = new StudiesAt();
    north.refuses(reject(['1.1'], 'ugly' as '113001'), '/reason');
    north.refuses(reject(['1.1', 'x']), '/sopInstanceUids/1');
    north.refuses(reject([]), '/sopInstanceUids');
    north.refuses(
      restore(Array.from({ length: objectsPerCommandMax + 1 }, (_, n) => `1.${n}`)),
      '/sopInstanceUids',
    );
  });
});

describe('objects that belong to another study', () => {
  it('[U6] go there, one event on the study that they came with, and come back', () => {
    const north = new StudiesAt('north', given());
    const events = north.does(move(['1.1']));
    assert.deepEqual(
      events.map(({ type, subject }) => [type, subject]),
      [['ObjectsMoved', source]],
    );
    assert.deepEqual([north.placeOf('1.1'), north.placeOf('1.2')], [target, source]);
    assert.deepEqual(north.does(move(['1.1'])), []);
    north.does(move(['1.1'], source));
    assert.equal(north.placeOf('1.1'), source);
  });
  it('are followed when they are moved on, and the latest move stands in a circle', () => {
    const north = new StudiesAt('north', given());
    north.does(move(['1.1']));
    north.does({ ...move(['1.1'], '1.2.5', { kind: 'move' }), studyInstanceUid: target });
    assert.equal(north.placeOf('1.1'), '1.2.5');
    north.does({ ...move(['1.1'], source, { kind: 'move' }), studyInstanceUid: '1.2.5' });
    assert.equal(north.placeOf('1.1'), source);
  });
  it('[U8] take no report along: the new study is not approved, whatever the old one is', () => {
    const site = given();
    site.does(holding());
    site.does(reportStatus('APPROVED'));
    const north = new StudiesAt('north', site);
    north.does(move(['1.1'], target, { patient: { id: 'P7', issuer: 'NORTH' }, accessionNumber: 'A7' }));
    const derived = derivedStudy(target, north.studies);
    assert.deepEqual(reportsOf(derived), []);
    assert.notEqual(studyReportStatus(derived), 'APPROVED');
    assert.deepEqual(patientOf(derived), { id: 'P7', issuer: 'NORTH' });
  });
  it('inherit the patient as he is corrected, until the new study says otherwise', () => {
    const site = given();
    const north = new StudiesAt('north', site);
    north.does(move(['1.1'], target, { kind: 'segment' }));
    assert.equal(patientOf(derivedStudy(target, north.studies))?.id, 'P1');
    const change = { type: 'ChangeStudy', studyInstanceUid: source, patient: { id: 'P2' } } as const;
    north.takes(...site.does(change).filter(({ data }) => data.aggregate === 'study'));
    assert.equal(patientOf(derivedStudy(target, north.studies))?.id, 'P2');
    const patient = {
      t: 'lww',
      value: { id: 'P3', issuer: 'X' },
      rank: 1,
      hlc: 'a'.repeat(16),
      origin: 'x',
    } as const;
    north.studies[target] = { patient };
    assert.equal(patientOf(derivedStudy(target, north.studies))?.id, 'P3');
  });
  it('are held by the holders of the study that they came with', () => {
    const site = given();
    site.does(holding());
    site.takes(...given('south').does(holding()));
    const north = new StudiesAt('north', site);
    north.does(move(['1.1']));
    north.does({ ...mergeInto('1.2.9', target) });
    assert.deepEqual(structuralHolders(target, north.studies), ['north', 'south']);
    assert.deepEqual(structuralHolders('1.2.9', north.studies), holdersOf(site.study));
  });
  it('are refused to another patient unless split, and to what is no study', () => {
    const north = new StudiesAt();
    const patient = { id: 'P7', issuer: 'N' };
    north.refuses(move(['1.1'], target, { kind: 'segment', patient }), '/patient');
    north.refuses(move(['1.1'], target, { patient: { id: '', issuer: 'N' } }), '/patient');
    north.refuses(move(['1.1'], 'there'), '/to');
    north.refuses(move(['1.1'], target, { kind: 'move', accessionNumber: 'A' }), '/to');
    north.refuses(move(['1.1'], target, { accessionNumber: 'A'.repeat(17) }), '/accessionNumber');
    north.refuses(move(['1.1'], target, { studyDescription: 'A'.repeat(65) }), '/studyDescription');
  });
});

describe('merging studies', () => {
  it('[U6] leads the UID, and objects that come later, to the survivor, except those that went elsewhere before', () => {
    const north = new StudiesAt('north', given());
    north.does(move(['1.1'], '1.2.5'));
    north.does(mergeInto(target));
    assert.equal(resolveStudy(source, north.studies), target);
    assert.deepEqual([north.placeOf('1.1'), north.placeOf('1.9')], ['1.2.5', target]);
    assert.deepEqual(north.does(mergeInto(target)), []);
    north.does({ type: 'UnmergeStudies', studyInstanceUid: source });
    assert.deepEqual([resolveStudy(source, north.studies), north.placeOf('1.9')], [source, source]);
    assert.deepEqual(north.does({ type: 'UnmergeStudies', studyInstanceUid: source }), []);
  });
  it('[U17] into an approved study adds objects that nobody has read', () => {
    const approved = given();
    approved.objects = { count: 4, images: 4 };
    approved.does(reportStatus('APPROVED'));
    const north = new StudiesAt('north', approved);
    north.does(mergeInto(source, target));
    const objects = { [source]: ['1', '2', '3', '4'], [target]: ['5', '6'] };
    const count = placeObjects(objects, north.studies).get(source)?.length ?? 0;
    assert.equal(objectsSinceApproval(derivedStudy(source, north.studies), { count, images: count }), 2);
    assert.equal(studyReportStatus(derivedStudy(source, north.studies)), 'APPROVED');
  });
  it('refuses the study itself and what is no UID', () => {
    new StudiesAt().refuses(mergeInto(source), '/into');
    new StudiesAt().refuses(mergeInto('x'), '/into');
  });
});

describe('structure changed at three clusters', () => {
  const uids = ['1.2.3', '1.2.4', '1.2.5'];
  const sops = ['1.1', '1.2'];
  const step = fc.record({
    site: fc.nat(2),
    study: fc.nat(2),
    to: fc.nat(2),
    sop: fc.nat(1),
    what: fc.constantFrom('move', 'reject', 'restore', 'merge', 'unmerge'),
    hears: fc.nat(2),
  });
  const commandOf = ({ study, to, sop, what }: { study: number; to: number; sop: number; what: string }) => {
    const studyInstanceUid = uids[study] ?? '';
    const sopInstanceUids = [sops[sop] ?? ''];
    const by = { studyInstanceUid, sopInstanceUids };
    if (what === 'move') return { type: 'MoveObjects', ...by, kind: 'move', to: uids[to] ?? '' } as const;
    if (what === 'reject') return { type: 'RejectObjects', ...by, reason: '113001' } as const;
    if (what === 'restore') return { type: 'RestoreObjects', ...by } as const;
    if (what === 'merge') return { type: 'MergeStudies', studyInstanceUid, into: uids[to] ?? '' } as const;
    return { type: 'UnmergeStudies', studyInstanceUid } as const;
  };
  it('[U10] ends with every object in one study, the same everywhere', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), fc.gen(), (schedule, gen) => {
        const sites = ['north', 'south', 'east'].map((cluster) => new StudiesAt(cluster));
        const events: ChangeEvent[] = [];
        for (const one of schedule) {
          const site = sites[one.site] as StudiesAt;
          const decision = site.tries(commandOf(one));
          if (!('events' in decision)) continue;
          site.takes(...decision.events);
          sites[one.hears]?.takes(...decision.events);
          events.push(...decision.events);
        }
        const objects = { [source]: sops, [target]: ['2.1'], '1.2.5': ['3.1'] };
        const places = sites.map((site) => {
          const order = events.map((event) => [gen(fc.nat), event] as const).sort(([a], [b]) => a - b);
          site.takes(...order.map(([, event]) => event));
          const placed = placeObjects(objects, site.studies);
          assert.equal([...placed.values()].flat().length, 4);
          for (const uid of uids) assert.deepEqual(reportsOf(derivedStudy(uid, site.studies)), []);
          return placed;
        });
        assert.deepEqual(places[0], places[1]);
        assert.deepEqual(places[0], places[2]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('objects that refer to others', () => {
  it('[U6] are named when what they refer to is in several studies now', () => {
    const north = new StudiesAt('north', given());
    north.does(move(['1.1']));
    const references = [
      { sopInstanceUid: '9.1', refersTo: ['1.1', '1.2'] },
      { sopInstanceUid: '9.2', refersTo: ['1.2', '1.3'] },
      { sopInstanceUid: '9.3', refersTo: [] },
    ];
    assert.deepEqual(
      dividedReferences(references, (sop) => north.placeOf(sop)),
      [{ sopInstanceUid: '9.1', studies: [source, target] }],
    );
  });
});
