import { commandField, encodeCommandSet } from '../src/command-set.ts';
import { encodeAssociateRequest } from '../src/pdu.ts';
import type { AssociateRequest } from '../src/pdu.ts';

const base: AssociateRequest = {
  protocolVersion: 1,
  calledAeTitle: 'NORTH',
  callingAeTitle: 'MODALITY',
  applicationContextName: '1.2.840.10008.3.1.1.1',
  contexts: [{ id: 1, sopClassUid: '1.2.840.10008.1.1', transferSyntaxUids: ['1.2.840.10008.1.2'] }],
  user: { maxPduBytes: 16_384, implementationClassUid: '1.2.3.4', implementationVersionName: 'SEED_1' },
};

/** A-ASSOCIATE-RQ, whole PDUs: a plain one, one with every kind of user item, one with 128 contexts. */
export function associateRequests(): Buffer[] {
  const sopClassUid = '1.2.840.10008.5.1.4.1.1.2';
  return [
    base,
    {
      ...base,
      contexts: [
        ...base.contexts,
        { id: 3, sopClassUid, transferSyntaxUids: ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2'] },
      ],
      user: {
        ...base.user,
        asyncOperations: { invoked: 4, performed: 1 },
        roles: [{ sopClassUid, scu: true, scp: true }],
        extendedNegotiations: [{ sopClassUid, information: Buffer.from([1, 1, 0]) }],
        commonExtendedNegotiations: [
          {
            sopClassUid,
            serviceClassUid: '1.2.840.10008.4.2',
            relatedGeneralSopClassUids: ['1.2.5', '1.2.6'],
          },
        ],
        userIdentity: {
          type: 2,
          responseRequested: true,
          primary: Buffer.from('name'),
          secondary: Buffer.from('word'),
        },
        userIdentityResponse: Buffer.from('ticket'),
      },
    },
    {
      ...base,
      contexts: Array.from({ length: 128 }, (_, index) => ({ ...base.contexts[0]!, id: index * 2 + 1 })),
    },
  ].map((request) => encodeAssociateRequest(request));
}

/** Command sets, one of every message that this library knows. */
export function commandSets(): Buffer[] {
  const uid = { affectedSopClassUid: '1.2.840.10008.5.1.4.1.1.2', affectedSopInstanceUid: '1.2.3.4.5' };
  const counts = {
    remainingSubOperations: 3,
    completedSubOperations: 2,
    failedSubOperations: 1,
    warningSubOperations: 0,
  };
  const { response } = commandField;
  return [
    { commandField: commandField.cStoreRq, hasDataSet: true, messageId: 1, priority: 0, ...uid },
    {
      commandField: commandField.cStoreRq | response,
      hasDataSet: false,
      messageIdBeingRespondedTo: 1,
      status: 0xa700,
      errorComment: 'No room',
      ...uid,
    },
    {
      commandField: commandField.cStoreRq,
      hasDataSet: true,
      messageId: 2,
      moveOriginatorAeTitle: 'SOUTH',
      moveOriginatorMessageId: 9,
      ...uid,
    },
    { commandField: commandField.cEchoRq, hasDataSet: false, messageId: 3 },
    { commandField: commandField.cFindRq, hasDataSet: true, messageId: 4, priority: 2, ...uid },
    { commandField: commandField.cMoveRq, hasDataSet: true, messageId: 5, moveDestination: 'WEST', ...uid },
    {
      commandField: commandField.cMoveRq | response,
      hasDataSet: false,
      messageIdBeingRespondedTo: 5,
      status: 0xff00,
      ...counts,
    },
    { commandField: commandField.cCancelRq, hasDataSet: false, messageIdBeingRespondedTo: 5 },
    {
      commandField: commandField.nEventReportRq,
      hasDataSet: true,
      messageId: 6,
      eventTypeId: 1,
      requestedSopClassUid: '1.2.840.10008.1.20.1',
      requestedSopInstanceUid: '1.2.840.10008.1.20.1.1',
    },
    {
      commandField: commandField.nGetRq,
      hasDataSet: false,
      messageId: 7,
      actionTypeId: 1,
      attributeTags: ['00100010', '7FE00010'],
    },
  ].map((command) => encodeCommandSet(command));
}
