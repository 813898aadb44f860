import { element, tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { configSubject, instanceSubject, patientKey, patientSubject, studySubject } from '@isthmus/domain';
import type {
  Change,
  ChangeEvent,
  ConfigurationChangedEvent,
  ConfigurationKind,
  EventEnvelope,
  InstanceStored,
  InstanceStoredEvent,
  Link,
  RegisterMap,
  Station,
} from '@isthmus/domain';

/** An object to be stored, with what tests vary; the rest is a CT of Jane Doe at issuer `NORTH`. */
export interface ObjectFacts {
  readonly study: string;
  readonly series?: string;
  readonly sop: string;
  readonly modality?: string;
  readonly patientId?: string;
  readonly issuer?: string;
  readonly name?: string;
  readonly studyDate?: string;
  readonly accession?: string;
  readonly description?: string;
  readonly provisional?: boolean;
  readonly header?: DataSetJson;
}

const sopClasses: { readonly [modality: string]: string } = {
  CT: '1.2.840.10008.5.1.4.1.1.2',
  MR: '1.2.840.10008.5.1.4.1.1.4',
  PR: '1.2.840.10008.5.1.4.1.1.11.1',
};

/** The fact that the edge writes for an object. */
export function instanceStored(facts: ObjectFacts, cluster = 'north'): InstanceStoredEvent {
  const { study, series = `${study}.1`, sop, modality = 'CT' } = facts;
  const sopClassUid = sopClasses[modality] ?? '1.2.840.10008.5.1.4.1.1.7';
  const header: DataSetJson = {
    [tags.SOPClassUID]: element('UI', sopClassUid),
    [tags.SOPInstanceUID]: element('UI', sop),
    [tags.StudyInstanceUID]: element('UI', study),
    [tags.SeriesInstanceUID]: element('UI', series),
    [tags.Modality]: element('CS', modality),
    [tags.PatientID]: element('LO', facts.patientId ?? 'P1'),
    [tags.PatientName]: element('PN', facts.name ?? 'Doe^Jane'),
    [tags.PatientBirthDate]: element('DA', '19700101'),
    [tags.PatientSex]: element('CS', 'F'),
    [tags.StudyDate]: element('DA', facts.studyDate ?? '20240131'),
    [tags.StudyTime]: element('TM', '101500'),
    [tags.AccessionNumber]: element('SH', facts.accession ?? 'A1'),
    [tags.StudyDescription]: element('LO', facts.description ?? 'CT CHEST'),
    [tags.StudyID]: element('SH', '1'),
    [tags.SeriesNumber]: element('IS', 1),
    [tags.SeriesDescription]: element('LO', `${modality} series`),
    [tags.InstanceNumber]: element('IS', Number(sop.split('.').at(-1))),
    ...facts.header,
  };
  const data: InstanceStored = {
    studyInstanceUid: study,
    seriesInstanceUid: series,
    sopInstanceUid: sop,
    sopClassUid,
    transferSyntaxUid: '1.2.840.10008.1.2.1',
    file: `00/${sop}`,
    fileBytes: 1000,
    dataSetChecksum: '0'.repeat(64),
    header,
    issuer: facts.issuer ?? 'NORTH',
    callingAeTitle: 'MODALITY',
    provisional: facts.provisional ?? false,
  };
  return { ...envelope(`stored-${sop}`, 'InstanceStored', study, cluster), data };
}

let made = 0;

/** A change of a study or patient, as update-relay appends it. */
export function change(
  aggregate: Change['aggregate'],
  subject: string,
  registers: RegisterMap,
  type = 'StateMerged',
): ChangeEvent {
  return { ...envelope(`change-${++made}`, type, subject, 'north'), data: { aggregate, registers } };
}

/** A register somebody wrote. `hlc` counts upwards. */
export function lww(value: unknown, hlc = 1, rank = 1): RegisterMap[string] {
  const stamp = (BigInt(1_700_000_000_000 + hlc) << 16n).toString(16).padStart(16, '0');
  return { t: 'lww', value: value as never, rank, hlc: stamp, origin: 'north' };
}

/** The register `reports` with one report of this status. */
export function reportStatus(status: string, accession = 'A1', hlc = 1): RegisterMap {
  const ranks = ['UNKNOWN', 'NEW', 'DICTATED', 'TRANSCRIBED', 'APPROVED'];
  const value = {
    status,
    subStatus: '',
    by: 'Dr Reader',
    at: '2024-02-01T10:00:00.000Z',
    reportId: 'R1',
    url: '',
  };
  const entries = { '1.base': lww(value, hlc, ranks.indexOf(status)) };
  return { reports: { t: 'map', entries: { [accession]: { t: 'map', entries } } } };
}

/** A holder's register. */
export function holder(cluster: string, instanceCount: number, complete = true): RegisterMap {
  const value = { holds: true, complete, instanceCount, scope: 'full', availability: 'ONLINE' };
  return { holders: { t: 'map', entries: { [cluster]: lww(value) } } };
}

/** One configured entity. */
export function configured(
  kind: ConfigurationKind,
  name: string,
  value: unknown,
  version = 1,
): EventEnvelope {
  const data: ConfigurationChangedEvent['data'] = {
    kind,
    name,
    value,
    version,
    author: 'test',
    reason: 'test',
  };
  return {
    ...envelope(`${kind}-${name}-${version}`, 'ConfigurationChanged', `${kind}/${name}`, 'north'),
    data,
  };
}

export const allOn = { in: true, out: true };
export const allOff = { in: false, out: false };

export function link(peer: string, switches: Partial<Link> = {}): Link {
  return {
    peer,
    enabled: true,
    internalQueries: allOn,
    externalQueries: allOn,
    updates: allOn,
    prefetching: allOn,
    ...switches,
  };
}

export function station(aeTitle: string, rest: Partial<Station> = {}): Station {
  return {
    aeTitle,
    host: '127.0.0.1',
    port: 104,
    tls: false,
    kind: 'cluster',
    archive: false,
    alsoSendsAs: [],
    keepsStatus: true,
    ...rest,
  };
}

function envelope<Type extends string>(id: string, type: Type, subject: string, origin: string) {
  return {
    id,
    type,
    source: `${origin}/test`,
    subject,
    time: '2024-01-31T10:15:00.000Z',
    origin,
    hlc: '0000000000000001',
    path: [origin],
    v: 1,
  };
}

/** Where an event goes in the log. */
export function subjectOf(event: EventEnvelope): string {
  if (event.type === 'InstanceStored') return instanceSubject(event.subject);
  if (event.type === 'ConfigurationChanged') {
    const { kind, name } = event.data as { kind: string; name: string };
    return configSubject(kind, name);
  }
  return (event.data as Change).aggregate === 'patient'
    ? patientSubject(event.subject)
    : studySubject(event.subject);
}

export const jane = patientKey('P1', 'NORTH');
