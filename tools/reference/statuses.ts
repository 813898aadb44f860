import { dimseStatus } from '@isthmus/dicom';
import { table } from './markdown.ts';

type StatusName = keyof typeof dimseStatus;
type Row = readonly [name: StatusName, when: string, then: string];

const hex = (name: StatusName): string => dimseStatus[name].toString(16).toUpperCase().padStart(4, '0');

function statusTable(rows: readonly Row[], last: string): string {
  return table(
    ['Status', 'Name', 'When', last],
    rows.map(([name, when, then]) => [hex(name), name, when, then]),
  );
}

const answered: { readonly [service: string]: readonly Row[] } = {
  storage: [
    [
      'Success',
      'The object is on disk and its event in the log; also when the same object came ' +
        'before, or other data under the same SOP Instance UID, which is kept aside (Error ' +
        'Comment says so)',
      'It may let go of its copy',
    ],
    ['InvalidSopInstance', 'Affected SOP Instance UID is missing or not a UID', 'Correct the object'],
    [
      'DataSetDoesNotMatchSopClass',
      'SOP Class UID or SOP Instance UID of the data set differ from the command, or the ' +
        'SOP class from the presentation context',
      'Correct the object',
    ],
    [
      'CannotUnderstand',
      'No data set; it ends inside an element; SOP, Study or Series Instance UID missing, ' +
        'not a UID, or several; an internal error',
      'Correct the object; see the Error Comment',
    ],
    [
      'OutOfResources',
      'No room on disk or in the log, the disk or the log failed or cannot be reached. ' +
        'Nothing of the object is promised',
      'Send it again later',
    ],
    [
      'SopClassNotSupported',
      'The SOP class became another service since the association began',
      'Begin anew',
    ],
  ],
  find: [
    ['Pending', 'One match', 'Read on'],
    ['Success', 'All matches of this cluster, and of those that answered in time, were sent', ''],
    ['Cancel', 'C-CANCEL came', ''],
    [
      'OutOfResources',
      'The index is not running or was too slow, or more matches than it gives out',
      'Ask again later',
    ],
    [
      'IdentifierDoesNotMatch',
      'No identifier; Query/Retrieve Level missing, unknown, or PATIENT in Study Root',
      'Correct the identifier',
    ],
    ['CannotUnderstand', 'The identifier cannot be read; an internal error', ''],
    [
      'NotAuthorised',
      'A linked cluster asks, and the link switch for that is off (internal queries for the ' +
        'private class, external queries for the standard ones)',
      'Ask the other side to switch it on',
    ],
    ['SopClassNotSupported', 'Affected SOP Class UID differs from that of the presentation context', ''],
  ],
  move: [
    ['Pending', 'After each object and every 5 s, with the four counts', ''],
    ['Success', 'The destination took every object', ''],
    [
      'SubOperationsWarning',
      'Some objects failed (Failed SOP Instance UID List), or were taken with a warning',
      '',
    ],
    ['UnableToPerformSubOperations', 'Nothing could be sent', 'See the Error Comment'],
    [
      'CannotUnderstand',
      'Nothing is known under these UIDs, here or at a linked cluster; the identifier ' +
        'cannot be read; an internal error',
      '',
    ],
    [
      'MoveDestinationUnknown',
      'The move destination is no AE title, no configured station, or one without a port',
      'Have it configured',
    ],
    [
      'IdentifierDoesNotMatch',
      'No identifier; level missing or unknown; a unique key missing or not a UID; several studies below STUDY level',
      'Correct the identifier',
    ],
    ['OutOfResources', 'The index is not running or too slow; too much work waits', 'Ask again later'],
    ['Cancel', 'C-CANCEL came; with the four counts', ''],
    ['SopClassNotSupported', 'Affected SOP Class UID differs from that of the presentation context', ''],
  ],
  update: [
    ['Success', 'Everything that was new is in the log of the receiver', 'Forget it; the next batch'],
    [
      'NotAuthorised',
      'The calling AE title is no linked cluster, or not the one that the payload names',
      'Wait, then again',
    ],
    ['LinkOff', 'The link, or its updates in this direction, is switched off', 'Wait, then again'],
    [
      'LinkFormatUnknown',
      'A format that the receiver does not read; the Error Comment names its highest',
      'Wait, then again; a later version falls back',
    ],
    ['LinkIncarnationUnknown', 'Reserved. Not sent by this version', 'Wait, then again'],
    [
      'OutOfResources',
      'The log is full, or the service that takes updates is away. Every A7xx counts as this one',
      'Wait, then again',
    ],
    [
      'ProcessingFailure',
      'A passing failure. Part of the batch may be stored; the same batch completes it',
      'Wait, then again',
    ],
    [
      'DataSetDoesNotMatchSopClass',
      'Not a data set, length or SHA-256 differ, an item is malformed, sender or SOP Instance UID differ',
      'Send item by item; set the faulty one aside',
    ],
    [
      'CannotUnderstand',
      'Larger than the receiver takes, or an event that is larger than its log takes',
      'Send item by item; set the faulty one aside',
    ],
    ['SopClassNotSupported', 'Not a peer that speaks this class, or not now', 'Wait, then again'],
  ],
  commitment: [
    [
      'Success',
      'The request is durable and will be reported on; nothing is committed yet',
      'Wait for N-EVENT-REPORT',
    ],
    [
      'InvalidArgumentValue',
      'No action information; Transaction UID or Referenced SOP Sequence missing, empty or no UIDs',
      'Correct the request',
    ],
    ['NoSuchActionType', 'Another action type than 1', 'Correct the request'],
    ['NoSuchSopInstance', 'Another SOP Instance than the well-known one', 'Correct the request'],
    [
      'ResourceLimitation',
      'More than 20,000 objects; too many requests are pending; no room on disk',
      'Split it; ask again later',
    ],
    ['ProcessingFailure', 'An internal error', 'Ask again later'],
    ['SopClassNotSupported', 'SOP Class UID differs from that of the presentation context', ''],
  ],
  'commitment-report': [
    [
      'NoSuchSopInstance',
      'No file of this SOP Instance UID, or its event is not in the log',
      'Keep it; send it again',
    ],
    ['ClassInstanceConflict', 'It is of another SOP class than the request says', 'Correct the request'],
  ],
  availability: [
    ['Success', 'It is written to the log', ''],
    ['MissingAttribute', 'Study Instance UID is missing', 'Correct it'],
    ['InvalidAttributeValue', 'Study Instance UID is not a UID', 'Correct it'],
    ['ProcessingFailure', 'The attribute list cannot be read', 'Correct it'],
  ],
  'link-state': [
    ['Pending', 'The one row of the answer', ''],
    ['Success', 'The question was understood and taken in', ''],
    ['NotAuthorised', 'The calling AE title is no station of kind cluster', ''],
    ['LinkOff', 'The link is not enabled', ''],
    [
      'IdentifierDoesNotMatch',
      'The payload cannot be read, or names another cluster than the AE title does',
      '',
    ],
    ['OutOfResources', 'The service that answers is away', 'Ask again later'],
  ],
};

const taken: { readonly [service: string]: readonly Row[] } = {
  'storage-scu': [
    ['Success', 'Taken', 'The sub-operation is completed'],
    [
      'CoercionOfDataElements',
      'Taken, with something to know; so every Bxxx, 0001, 0107 and 0116',
      'Counted as a warning',
    ],
    ['CannotUnderstand', 'Any other status', 'The sub-operation has failed; the next object is sent'],
  ],
  'move-scu': [
    ['Success', 'The peer says that it sent everything', 'Judged by the objects that arrived, not by this'],
    [
      'SubOperationsWarning',
      'So every Bxxx',
      'Judged by the objects that arrived; the next source is tried for what is missing',
    ],
    [
      'UnableToPerformSubOperations',
      'Any failure, with nothing completed, for a list of SOP Instance UIDs',
      'The whole series is asked for instead, once',
    ],
  ],
};

/** A table of what the edge answers, or of what it does with an answer. */
export const statusTables: ReadonlyMap<string, string> = new Map([
  ...Object.entries(answered).map(([service, rows]) => {
    return [service, statusTable(rows, 'The other side should')] as const;
  }),
  ...Object.entries(taken).map(([service, rows]) => [service, statusTable(rows, 'Then')] as const),
]);
