import type { EventEnvelope, InstanceStored } from '@isthmus/domain';
import { derivedUuid } from '@isthmus/service-kit';

/** An object of an invented study, as an edge would report it. */
export interface TestObject {
  readonly study: string;
  readonly series: string;
  readonly sop: string;
  readonly sopClass: string;
  readonly modality: string;
  readonly patientId: string;
  readonly patientName: string;
}

export const ctClass = '1.2.840.10008.5.1.4.1.1.2';
export const gspsClass = '1.2.840.10008.5.1.4.1.1.11.1';

export function ctObject(study: string, number: number, more: Partial<TestObject> = {}): TestObject {
  return {
    study,
    series: `${study}.1`,
    sop: `${study}.1.${number}`,
    sopClass: ctClass,
    modality: 'CT',
    patientId: 'P-1',
    patientName: 'Invented^Person',
    ...more,
  };
}

export function gspsObject(study: string, number: number): TestObject {
  return ctObject(study, number, {
    series: `${study}.2`,
    sop: `${study}.2.${number}`,
    sopClass: gspsClass,
    modality: 'PR',
  });
}

/** The fact that an edge appends once the file is durable. */
export function instanceStored(
  object: TestObject,
  at: { readonly cluster: string; readonly pulledFrom?: string },
): EventEnvelope<'InstanceStored', InstanceStored> {
  const element = (vr: string, value: unknown): { vr: string; Value: unknown[] } => ({ vr, Value: [value] });
  return {
    id: derivedUuid(at.cluster, object.sop, at.pulledFrom ?? ''),
    type: 'InstanceStored',
    source: `${at.cluster}/dimse-edge`,
    subject: object.study,
    time: new Date().toISOString(),
    origin: at.cluster,
    hlc: '0000000000000001',
    path: [at.cluster],
    v: 1,
    data: {
      studyInstanceUid: object.study,
      seriesInstanceUid: object.series,
      sopInstanceUid: object.sop,
      sopClassUid: object.sopClass,
      transferSyntaxUid: '1.2.840.10008.1.2.1',
      file: `aa/${object.sop}.dcm`,
      fileBytes: 1_000,
      dataSetChecksum: '0'.repeat(64),
      header: {
        '00080050': element('SH', 'ACC-1'),
        '00080060': element('CS', object.modality),
        '00081030': element('LO', 'Thorax'),
        '00100010': element('PN', { Alphabetic: object.patientName }),
        '00100020': element('LO', object.patientId),
      },
      issuer: 'DOMAIN',
      callingAeTitle: at.pulledFrom?.toUpperCase() ?? 'CT1',
      provisional: at.pulledFrom !== undefined,
      ...(at.pulledFrom === undefined ? {} : { pulledFrom: at.pulledFrom }),
    },
  };
}
