import assert from 'node:assert/strict';
import type {
  ChangeEvent,
  ChangeReportStatus,
  Decision,
  DecideContext,
  InstanceStored,
  KnownObjects,
  RecordHolding,
  RegisterMap,
  ReportStatus,
  StudyCommand,
} from '../src/index.ts';
import { decide, headerRegisters, mergeRegisters, studyView } from '../src/index.ts';
import type { StudyView } from '../src/index.ts';

export const studyInstanceUid = '1.2.3';

/** One stored object; only what a spec cares about need be named. */
export function instanceStored(changes: Partial<InstanceStored> = {}): InstanceStored {
  return {
    studyInstanceUid,
    seriesInstanceUid: '1.2.3.1',
    sopInstanceUid: '1.2.3.1.1',
    sopClassUid: '1.2.840.10008.5.1.4.1.1.2',
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    file: 'ab/cd',
    fileBytes: 100,
    dataSetChecksum: '00',
    header: {
      '00100020': { vr: 'LO', Value: ['P1'] },
      '00100010': { vr: 'PN', Value: [{ Alphabetic: 'DOE^JANE' }] },
      '00080050': { vr: 'SH', Value: ['A1'] },
    },
    issuer: 'NORTH',
    callingAeTitle: 'CT1',
    provisional: false,
    ...changes,
  };
}

/** A cluster with one study, driven by commands. Clock and ids count, so that every run is the same. */
export class StudyAt {
  readonly cluster: string;
  study: RegisterMap = {};
  patients: Record<string, RegisterMap> = {};
  clock = '';
  nowMs = 1_000_000;
  /** What this cluster knows of the study's objects. */
  objects: KnownObjects | undefined;
  private ids = 0;

  constructor(cluster: string) {
    this.cluster = cluster;
  }

  stores(...facts: readonly InstanceStored[]): this {
    for (const fact of facts) {
      const { patientKey, study, patient } = headerRegisters(fact);
      this.study = mergeRegisters(this.study, study);
      if (Object.keys(patient).length > 0)
        this.patients[patientKey] = mergeRegisters(this.patients[patientKey] ?? {}, patient);
    }
    return this;
  }

  takes(...events: readonly ChangeEvent[]): this {
    for (const event of events) {
      if (event.data.aggregate === 'study') this.study = mergeRegisters(this.study, event.data.registers);
      else
        this.patients[event.subject] = mergeRegisters(
          this.patients[event.subject] ?? {},
          event.data.registers,
        );
      if (event.hlc > this.clock) this.clock = event.hlc;
    }
    return this;
  }

  tries(command: StudyCommand, context: Partial<DecideContext> = {}): Decision {
    this.nowMs += 1;
    return decide(
      command,
      {
        study: this.study,
        patients: this.patients,
        ...(this.objects ? { objects: this.objects } : {}),
      },
      {
        cluster: this.cluster,
        now: new Date(this.nowMs),
        clock: this.clock,
        newId: () => `${this.cluster}-${++this.ids}`,
        ...context,
      },
    );
  }

  /** Decides, applies and gives the events; a refusal fails the test. */
  does(command: StudyCommand, context: Partial<DecideContext> = {}): readonly ChangeEvent[] {
    const decision = this.tries(command, context);
    assert.ok('events' in decision, `refused: ${JSON.stringify(decision)}`);
    this.takes(...decision.events);
    return decision.events;
  }

  refuses(command: StudyCommand, code: string, pointer?: string): void {
    const decision = this.tries(command);
    assert.ok('refused' in decision, 'was not refused');
    assert.equal(decision.refused.code, code);
    if (pointer !== undefined) assert.equal(decision.refused.pointer, pointer);
  }

  shows(): StudyView {
    return studyView(this.study, this.patients);
  }
}

/** A cluster that has stored one object of the study. */
export function given(cluster = 'north', fact: Partial<InstanceStored> = {}): StudyAt {
  return new StudyAt(cluster).stores(instanceStored(fact));
}

/** What a cluster says of its whole copy of one object; only what a spec cares about need be named. */
export function holding(changes: Partial<RecordHolding> = {}): RecordHolding {
  return {
    type: 'RecordHolding',
    studyInstanceUid,
    holds: true,
    complete: true,
    instanceCount: 1,
    scope: 'full',
    ...changes,
  };
}

export function reportStatus(status: ReportStatus, more: Partial<ChangeReportStatus> = {}): StudyCommand {
  return { type: 'ChangeReportStatus', studyInstanceUid, status, ...more };
}
