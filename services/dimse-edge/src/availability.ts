import {
  decodeDataSet,
  dimseStatus,
  element,
  itemsOf,
  stringOf,
  tags,
  uidPattern,
  uids,
} from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import type { NAnswer, NCreateRequest } from '@isthmus/dimse';
import type { NotifyAnswer, NotifyRequest } from '@isthmus/domain';
import type { Log } from '@isthmus/service-kit';
import { newUid } from './commitment-requests.ts';
import type { Outgoing } from './outgoing.ts';

/** PS3.3 C.4.23.1.1; anything else is counted as `other`. */
const availabilities: ReadonlySet<string> = new Set(['ONLINE', 'NEARLINE', 'OFFLINE', 'UNAVAILABLE']);

/**
 * Takes an Instance Availability Notification (PS3.4 R.3.2): what another system says of its objects. It is written to
 * the log, with counts and without patient data; nothing else follows from it yet.
 */
export function takeAvailability(request: NCreateRequest, log: Log): NAnswer {
  let row: DataSetJson;
  try {
    row = decodeDataSet(request.dataSet ?? Buffer.alloc(0), request.transferSyntaxUid);
  } catch {
    return { status: dimseStatus.ProcessingFailure, errorComment: 'The attribute list cannot be read' };
  }
  const studyInstanceUid = stringOf(row, tags.StudyInstanceUID);
  if (studyInstanceUid === undefined) {
    return {
      status: dimseStatus.MissingAttribute,
      errorComment: 'Study Instance UID (0020,000D) is missing',
    };
  }
  if (!uidPattern.test(studyInstanceUid)) {
    return {
      status: dimseStatus.InvalidAttributeValue,
      errorComment: 'Study Instance UID (0020,000D) is not a UID',
    };
  }
  const series = itemsOf(row, tags.ReferencedSeriesSequence);
  const objects: Record<string, number> = {};
  for (const instance of series.flatMap((one) => itemsOf(one, tags.ReferencedSOPSequence))) {
    const said = stringOf(instance, tags.InstanceAvailability) ?? '';
    const availability = availabilities.has(said) ? said : 'other';
    objects[availability] = (objects[availability] ?? 0) + 1;
  }
  const { id: associationId, callingAeTitle: peer } = request.association;
  const facts = { associationId, peer, studyInstanceUid, series: series.length, objects };
  log.info(facts, 'instance availability: notified by a peer');
  const chosen = request.sopInstanceUid === undefined ? { sopInstanceUid: newUid() } : {};
  return { status: dimseStatus.Success, ...chosen };
}

/** Tells a station what is available here, by N-CREATE. @throws What `Outgoing.use` throws. */
export async function notifyAvailability(
  { aeTitle, timeoutMs, ...notification }: NotifyRequest,
  parts: { readonly outgoing: Outgoing; readonly ourAeTitle: () => string; readonly log: Log },
): Promise<NotifyAnswer> {
  const contexts = [
    {
      sopClassUid: uids.InstanceAvailabilityNotification,
      transferSyntaxUids: [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian],
    },
  ];
  const { status, errorComment } = await parts.outgoing.use(
    aeTitle,
    contexts,
    (association) =>
      association.nCreate({
        sopClassUid: uids.InstanceAvailabilityNotification,
        sopInstanceUid: newUid(),
        dataSet: notificationOf(notification, parts.ourAeTitle()),
      }),
    { responseMs: timeoutMs },
  );
  const { studyInstanceUid } = notification;
  parts.log.info(
    { peer: aeTitle, studyInstanceUid, status, why: errorComment },
    'instance availability: notified',
  );
  return { status, ...(errorComment === undefined ? {} : { errorComment }) };
}

/** PS3.4 Table R.3.2-1. No performed procedure step is referenced: the sequence is empty, as it may be. */
function notificationOf(
  { studyInstanceUid, series }: Pick<NotifyRequest, 'studyInstanceUid' | 'series'>,
  retrieveAeTitle: string,
): DataSetJson {
  return {
    [tags.ReferencedPerformedProcedureStepSequence]: { vr: 'SQ' },
    [tags.ReferencedSeriesSequence]: {
      vr: 'SQ',
      Value: series.map(({ seriesInstanceUid, instances }) => ({
        [tags.ReferencedSOPSequence]: {
          vr: 'SQ',
          Value: instances.map(({ sopClassUid, sopInstanceUid, availability }) => ({
            [tags.RetrieveAETitle]: element('AE', retrieveAeTitle),
            [tags.InstanceAvailability]: element('CS', availability),
            [tags.ReferencedSOPClassUID]: element('UI', sopClassUid),
            [tags.ReferencedSOPInstanceUID]: element('UI', sopInstanceUid),
          })),
        },
        [tags.SeriesInstanceUID]: element('UI', seriesInstanceUid),
      })),
    },
    [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
  };
}
