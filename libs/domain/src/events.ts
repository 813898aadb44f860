import type { EventEnvelope } from './envelope.ts';
import type { Register, RegisterMap } from './registers.ts';

/** Data of every event about a study or a patient: the change itself, as registers to merge. */
export interface Change {
  readonly aggregate: 'study' | 'patient';
  readonly registers: RegisterMap;
  /** For people: what was meant, e.g. `{"status":"APPROVED"}`. Never merged. */
  readonly intent?: { readonly [key: string]: unknown };
  /** Who asked: user, station or system. */
  readonly by?: string;
}

/** Events of study and patient aggregates. The list may grow; a receiver merges types that it does not know. */
export type ChangeType =
  | 'ReportStatusChanged'
  | 'StudyCommented'
  | 'PatientLocationChanged'
  | 'StudyStatusChanged'
  | 'StudyDemographicsChanged'
  | 'PatientDemographicsChanged'
  | 'PatientMerged'
  | 'PatientUnmerged'
  | 'PatientIdentifierChanged'
  | 'HolderChanged'
  | 'HomeTransferred'
  | 'StudyObjectsChanged'
  | 'StudyVerified'
  | 'StudyFixedUp'
  | 'ObjectsRejected'
  | 'ObjectsRestored'
  | 'ObjectsMoved'
  | 'StudyMerged'
  | 'StudyUnmerged'
  | 'ClaimGranted'
  | 'ClaimRenewed'
  | 'ClaimReleased'
  | 'ValueRestored'
  | 'StateMerged';

export type ChangeEvent = EventEnvelope<string, Change>;

/** The study object manifest that `StudyObjectsChanged` announces, kept under its digest outside the log. */
export interface ObjectManifest {
  readonly studyInstanceUid: string;
  readonly series: readonly {
    readonly seriesInstanceUid: string;
    readonly modality: string;
    /** SOP Instance UID and SOP Class UID of each object. */
    readonly instances: readonly (readonly [sopInstanceUid: string, sopClassUid: string])[];
  }[];
}

/** Attributes of one object that the index needs, in the DICOM JSON Model (PS3.18 Annex F.2). */
export type HeaderAttributes = {
  readonly [tag: string]: { readonly vr: string; readonly Value?: readonly unknown[] };
};

/**
 * One stored object: the only fact in the INSTANCES log. Appended after the file is durable, before the C-STORE is
 * answered.
 */
export interface InstanceStored {
  readonly studyInstanceUid: string;
  readonly seriesInstanceUid: string;
  readonly sopInstanceUid: string;
  readonly sopClassUid: string;
  readonly transferSyntaxUid: string;
  /** Path relative to the object store. Made from a hash, never from text off the wire. */
  readonly file: string;
  /** Bytes of the file, header of group 0002 included. */
  readonly fileBytes: number;
  /** AES-128-GMAC (hex, key and IV of zeros) of the data set bytes as received, without group 0002. */
  readonly dataSetChecksum: string;
  readonly header: HeaderAttributes;
  /** Issuer of Patient ID: from the header, else the patient domain of the sending station, else the cluster's. */
  readonly issuer: string;
  readonly callingAeTitle: string;
  /** Set when the object came for a pull of ours: the peer (cluster id, or AE title of a third party). */
  readonly pulledFrom?: string;
  /**
   * True: who the patient is comes with the sender's study state; until that is merged the study is not listed.
   * False: the header is believed.
   */
  readonly provisional: boolean;
}
export type InstanceStoredEvent = EventEnvelope<'InstanceStored', InstanceStored>;

/** An order from the RIS, whole. */
export interface OrderPlaced {
  readonly accessionNumber: string;
  readonly accessionIssuer?: string;
  readonly patient: {
    readonly id: string;
    readonly issuer: string;
    readonly name?: string;
    readonly birthDate?: string;
    readonly sex?: string;
  };
  readonly studyInstanceUid?: string;
  readonly modality?: string;
  readonly procedure?: string;
  /** RFC 3339. */
  readonly scheduledAt?: string;
  /** Cluster that will read it; the cluster that took the order when absent. */
  readonly readAt?: string;
  readonly status: 'SCHEDULED' | 'CANCELLED' | 'COMPLETED';
}

/** A booked visit, whole. */
export interface VisitBooked {
  readonly visitNumber: string;
  readonly patient: OrderPlaced['patient'];
  readonly location?: string;
  readonly scheduledAt?: string;
  readonly readAt?: string;
  readonly status: 'BOOKED' | 'ARRIVED' | 'CANCELLED';
}
export type OrderPlacedEvent = EventEnvelope<'OrderPlaced', OrderPlaced>;
export type VisitBookedEvent = EventEnvelope<'VisitBooked', VisitBooked>;

/** Value of one register as readers want it; undefined when nothing is known. */
export function lwwValue(register: Register | undefined): unknown {
  return register?.t === 'lww' ? register.value : undefined;
}
