import { numberOf, stringOf, stringsOf, tags } from '@isthmus/dicom';
import { objectsSinceApproval } from '@isthmus/domain';
import type { ClusterOutcome, Report, StudyComment, StudyView } from '@isthmus/domain';
import { readLinkedFacts } from './linked-row.ts';
import type { RowHolder } from './linked-row.ts';
import { availabilityRank } from './merge-rows.ts';
import type { IdentityConflict, MergedRow } from './merge-rows.ts';
import { holdersKnown, viewOf } from './rows.ts';
import type { Here, StudyRecord } from './rows.ts';

/** A study as every interface gives it: its state, and what only an index of objects knows. */
export interface StudyBody extends Omit<
  StudyView,
  'reportStatus' | 'reports' | 'comments' | 'holders' | 'verification'
> {
  readonly studyInstanceUid: string;
  readonly modalities: readonly string[];
  readonly instanceCount: number;
  /** As its row says it, when another cluster answered; so are reports and comments. */
  readonly reportStatus: string;
  readonly reports: readonly Partial<Report>[];
  readonly objectsSinceApproval: boolean;
  readonly verification: { readonly state: string; readonly by: string | null; readonly at: string | null };
  readonly specialty: string | null;
  readonly bodyPart: string | null;
  readonly comments: readonly Partial<StudyComment>[];
  readonly claim: null;
  readonly holders: readonly HolderBody[];
  readonly stale: boolean;
}

export interface HolderBody {
  readonly cluster: string;
  readonly availability: string;
  readonly instanceCount: number;
  readonly complete: boolean;
  readonly scope: string;
}

/** A study in a list of several clusters. */
export interface FoundStudyBody extends StudyBody {
  /** The copy to read from, as seen from here: ONLINE = it is here, else it has to be fetched. */
  readonly bestLocation: { readonly cluster: string; readonly availability: string } | null;
  /** Who answered with it. */
  readonly answeredBy: readonly string[];
  /** Clusters that give this UID to another patient. Their objects are never used. */
  readonly identityConflictWith: readonly string[];
}

/** Nothing is verified yet (requirement H2), so no study is subject to it. */
const notVerified = { state: 'NOT_REQUIRED', by: null, at: null } as const;

/**
 * A study as its state here says. `instanceCount` and `modalities` are of the objects that are here.
 * @param stale - Its home cannot be reached.
 */
export function studyOfRecord(record: StudyRecord, here: Here, stale: boolean): StudyBody {
  const view = viewOf(record);
  const scopes = new Map(view.holders.map((holder) => [holder.cluster, holder.scope]));
  return {
    ...view,
    studyInstanceUid: record.studyInstanceUid,
    modalities: record.modalities,
    instanceCount: record.instanceCount,
    objectsSinceApproval:
      objectsSinceApproval(record.registers, { count: record.instanceCount, images: record.imageCount }) > 0,
    verification: view.verification,
    specialty: null,
    bodyPart: null,
    claim: null,
    holders: holdersKnown(record, view, here).map((holder) => holderBody(holder, scopes.get(holder.cluster))),
    stale,
  };
}

function holderBody(holder: RowHolder, scope = 'full'): HolderBody {
  const { cluster, availability, instanceCount, complete } = holder;
  return {
    cluster,
    availability: availability === '' ? 'UNKNOWN' : availability,
    instanceCount,
    complete,
    scope,
  };
}

/** A study of a search, from its merged row. */
export function studyOfRow(
  merged: MergedRow,
  context: {
    readonly here: Here;
    readonly outcomes: readonly ClusterOutcome[];
    readonly conflicts: readonly IdentityConflict[];
  },
): FoundStudyBody {
  const { row } = merged;
  const facts = readLinkedFacts(row);
  const text = (tag: string): string => stringOf(row, tag) ?? '';
  const studyInstanceUid = text(tags.StudyInstanceUID);
  const home = facts.homeCluster === '' ? null : facts.homeCluster;
  return {
    studyInstanceUid,
    patient: {
      id: text(tags.PatientID),
      issuer: text(tags.IssuerOfPatientID),
      name: text(tags.PatientName),
      birthDate: text(tags.PatientBirthDate),
      sex: text(tags.PatientSex),
      globalId: facts.globalPatientId,
    },
    accessionNumber: text(tags.AccessionNumber),
    studyDate: text(tags.StudyDate),
    studyTime: text(tags.StudyTime),
    studyDescription: text(tags.StudyDescription),
    studyId: text(tags.StudyID),
    referringPhysicianName: text(tags.ReferringPhysicianName),
    modalities: stringsOf(row, tags.ModalitiesInStudy),
    instanceCount: numberOf(row, tags.NumberOfStudyRelatedInstances) ?? 0,
    reportStatus: facts.reportStatus === '' ? 'UNKNOWN' : facts.reportStatus,
    reports: facts.reports.map((report) => ({ ...report, url: '' }) as Partial<Report>),
    objectsSinceApproval: false,
    studyStatus: text(tags.StudyStatusID),
    verification: notVerified,
    specialty: null,
    bodyPart: null,
    patientLocation: text(tags.CurrentPatientLocation),
    comments: facts.comments,
    homeCluster: home,
    claim: null,
    holders: facts.holders.map((holder) => holderBody(holder)),
    stateAsOf: facts.stateAsOf === '' ? null : facts.stateAsOf,
    stale: home !== null && home !== context.here.cluster && !hasAnswered(home, context.outcomes),
    bestLocation: bestLocation(facts.holders, home, context.here),
    answeredBy: merged.sources,
    identityConflictWith: context.conflicts
      .filter((conflict) => conflict.studyInstanceUid === studyInstanceUid)
      .flatMap(({ hidden }) => hidden),
  };
}

function hasAnswered(cluster: string, outcomes: readonly ClusterOutcome[]): boolean {
  return outcomes.some((outcome) => outcome.cluster === cluster && outcome.status === 'answered');
}

/** Here, else home, else a complete copy, else the most available, else the first by name. */
function bestLocation(
  holders: readonly RowHolder[],
  home: string | null,
  here: Here,
): FoundStudyBody['bestLocation'] {
  const [best] = [...holders].sort(
    (a, b) =>
      Number(b.cluster === here.cluster && b.complete) - Number(a.cluster === here.cluster && a.complete) ||
      Number(b.cluster === home) - Number(a.cluster === home) ||
      Number(b.complete) - Number(a.complete) ||
      availabilityRank(a.availability) - availabilityRank(b.availability) ||
      (a.cluster < b.cluster ? -1 : 1),
  );
  if (!best) return null;
  if (best.cluster === here.cluster) return { cluster: best.cluster, availability: 'ONLINE' };
  const offline = best.availability === 'OFFLINE' || best.availability === 'UNAVAILABLE';
  return { cluster: best.cluster, availability: offline ? best.availability : 'NEARLINE' };
}
