import { storageSopClasses, transferSyntaxes, transferSyntaxOf, uids } from '@isthmus/dicom';
import { code, table } from './markdown.ts';
import { listOf, pairsOf } from './source.ts';

const admissionFile = 'services/dimse-edge/src/admission.ts';

const names: { readonly [uid: string]: string } = {
  [uids.VerificationSopClass]: 'Verification',
  [uids.PatientRootFind]: 'Patient Root Query/Retrieve Information Model – FIND',
  [uids.StudyRootFind]: 'Study Root Query/Retrieve Information Model – FIND',
  [uids.PatientRootMove]: 'Patient Root Query/Retrieve Information Model – MOVE',
  [uids.StudyRootMove]: 'Study Root Query/Retrieve Information Model – MOVE',
  [uids.PatientRootGet]: 'Patient Root Query/Retrieve Information Model – GET',
  [uids.StudyRootGet]: 'Study Root Query/Retrieve Information Model – GET',
  [uids.StorageCommitmentPushModel]: 'Storage Commitment Push Model',
  [uids.InstanceAvailabilityNotification]: 'Instance Availability Notification',
  [uids.IsthmusLinkedUpdateStorage]: 'Isthmus Linked Update Storage (private)',
  [uids.IsthmusLinkedQueryFind]: 'Isthmus Linked Study Root Query – FIND (private)',
  [uids.IsthmusLinkStateFind]: 'Isthmus Link State – FIND (private)',
};

/** Classes that the edge also requests; what it accepts is read from its admission. */
const requested: ReadonlySet<string> = new Set([
  uids.VerificationSopClass,
  uids.PatientRootFind,
  uids.StudyRootFind,
  uids.StudyRootMove,
  uids.StudyRootGet,
  uids.StorageCommitmentPushModel,
  uids.InstanceAvailabilityNotification,
  uids.IsthmusLinkedUpdateStorage,
  uids.IsthmusLinkedQueryFind,
  uids.IsthmusLinkStateFind,
]);

const serviceClasses: { readonly [duty: string]: string } = {
  verification: 'Verification',
  find: 'Query',
  move: 'Retrieve',
  get: 'Retrieve',
  commitment: 'Storage commitment',
  availability: 'Availability',
  linked: 'Linking (B)',
};

/** `uids.Name` to its UID. */
export function uidOf(expression: string): string {
  const name = expression.replace(/^uids\./, '') as keyof typeof uids;
  const uid = uids[name];
  if (uid === undefined) throw new Error(`no UID ${expression}`);
  return uid;
}

/** What the edge serves, and what it asks of others. */
export function sopClassTable(): string {
  const accepted = pairsOf(admissionFile, 'duties').map(([uid, duty]) => {
    return [uidOf(uid), duty.replaceAll("'", '')] as const;
  });
  const rows = accepted.map(([uid, duty]) => {
    const name = names[uid];
    const service = serviceClasses[duty];
    if (name === undefined || service === undefined) throw new Error(`say what the edge does with ${uid}`);
    return [name, code(uid), service, requested.has(uid) ? 'yes' : 'no', 'yes'];
  });
  const storage = ['Every storage class, private ones included (8.1)', '', 'Storage', 'yes', 'yes'];
  return table(
    ['SOP class', 'UID', 'Service', 'SCU', 'SCP'],
    [...rows.slice(0, 1), storage, ...rows.slice(1)],
  );
}

/** Transfer syntaxes in which identifiers and linked updates are accepted, the preferred one first. */
export function readableTransferSyntaxTable(): string {
  return table(
    ['Transfer syntax', 'UID'],
    listOf(admissionFile, 'readableTransferSyntaxes').map((one) => {
      const uid = uidOf(one);
      return [transferSyntaxes.get(uid) ?? '', code(uid)];
    }),
  );
}

export function storageClassTable(): string {
  return table(
    ['SOP class', 'UID'],
    [...storageSopClasses].map(([uid, name]) => [name, code(uid)]),
  );
}

export function transferSyntaxTable(): string {
  return table(
    ['Transfer syntax', 'UID', 'Data set', 'Pixel data'],
    [...transferSyntaxes].map(([uid, name]) => {
      const syntax = transferSyntaxOf(uid);
      const vr = syntax?.explicitVr === true ? 'explicit VR' : 'implicit VR';
      const order = syntax?.littleEndian === true ? 'little endian' : 'big endian';
      const deflated = syntax?.deflated === true ? ', deflated' : '';
      return [
        name,
        code(uid),
        `${vr}, ${order}${deflated}`,
        syntax?.encapsulated === true ? 'encapsulated' : 'native',
      ];
    }),
  );
}
