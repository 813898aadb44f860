import { isImageSopClass, storageSopClasses, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { ContextProposal, RequestedAssociation, StoreAnswer, StoreRequest } from '@isthmus/dimse';
import type { Station } from '@isthmus/domain';
import { addressOf } from './outgoing.ts';
import type { CallingTls } from './outgoing.ts';

/** PS3.8 9.3.2.2: 128 contexts in all, one of which is for C-GET itself. */
const storageContextsMax = 127;
/** What objects are kept in as it is; the peer picks one for each class. */
const storageTransferSyntaxes = [
  uids.ExplicitVrLittleEndian,
  uids.ImplicitVrLittleEndian,
  '1.2.840.10008.1.2.4.70',
  '1.2.840.10008.1.2.4.80',
  '1.2.840.10008.1.2.4.90',
  '1.2.840.10008.1.2.4.91',
  '1.2.840.10008.1.2.4.50',
  '1.2.840.10008.1.2.4.51',
  '1.2.840.10008.1.2.5',
] as const;

/** Which classes a study has is not known beforehand: those in use, images first. */
const storageContexts: readonly ContextProposal[] = [...storageSopClasses]
  .filter(([, name]) => !/retired|trial/i.test(name))
  .map(([sopClassUid]) => sopClassUid)
  .sort((a, b) => Number(isImageSopClass(b)) - Number(isImageSopClass(a)))
  .slice(0, storageContextsMax)
  .map((sopClassUid) => ({ sopClassUid, transferSyntaxUids: storageTransferSyntaxes, role: 'scp' }));

/** An association on which a peer can be asked by C-GET, and sends what it has. */
export function requestGetAssociation(
  station: Station,
  ourAeTitle: string,
  tls: CallingTls,
): Promise<RequestedAssociation> {
  return requestAssociation({
    ...addressOf(station, tls),
    callingAeTitle: ourAeTitle,
    contexts: [
      {
        sopClassUid: uids.StudyRootGet,
        transferSyntaxUids: [uids.ExplicitVrLittleEndian, uids.ImplicitVrLittleEndian],
      },
      ...storageContexts,
    ],
  });
}

/** An object of a C-GET, as if the peer had called us: from then on it is as any other that comes in. */
export function takeFrom(
  station: Station,
  take: (request: StoreRequest) => Promise<StoreAnswer>,
): (request: StoreRequest) => Promise<StoreAnswer> {
  return (request) => {
    const { contextId, messageId, sopClassUid, sopInstanceUid, transferSyntaxUid, data, signal } = request;
    const { aeTitle: callingAeTitle } = station;
    const association = {
      ...request.association,
      callingAeTitle,
      calledAeTitle: request.association.callingAeTitle,
    };
    const what = { contextId, messageId, sopClassUid, sopInstanceUid, transferSyntaxUid };
    return take({ ...what, association, data, signal });
  };
}
