import { canTranscode } from '@isthmus/dicom';
import type { DataSetSource } from '@isthmus/dimse';
import type { LocatedInstance } from '@isthmus/domain';
import type { ObjectStore } from './object-store.ts';
import { storedDataSet } from './send.ts';
import type { Transcoder } from './transcoder.ts';

/** An object as it goes out. */
export interface OutgoingObject {
  readonly transferSyntaxUid: string;
  readonly dataSet: DataSetSource;
  /** To be called when it has been sent, or not. Never rejects. */
  readonly done: () => Promise<void>;
}

/**
 * The stored bytes, unless the peer takes the object in another transfer syntax only, and the station is configured for
 * a conversion to one that it takes: then a converted copy. Without either the stored one is answered, which the
 * association refuses to send and says why.
 *
 * @param accepted - Transfer syntaxes that the peer has accepted for the SOP class.
 * @param transcodeTo - Of the station, best first.
 * @throws {TranscodeFailedError}
 */
export async function outgoingObject(
  { transferSyntaxUid, file }: Pick<LocatedInstance, 'transferSyntaxUid' | 'file'>,
  accepted: readonly { readonly transferSyntaxUid: string }[],
  transcodeTo: readonly string[],
  { store, transcoder }: { readonly store: Pick<ObjectStore, 'absolute'>; readonly transcoder: Transcoder },
): Promise<OutgoingObject> {
  const takes = (uid: string): boolean => accepted.some((one) => one.transferSyntaxUid === uid);
  const to = takes(transferSyntaxUid)
    ? undefined
    : transcodeTo.find((uid) => takes(uid) && canTranscode(transferSyntaxUid, uid));
  if (to === undefined) {
    return { transferSyntaxUid, dataSet: storedDataSet(store, file), done: async () => {} };
  }
  const converted = await transcoder.transcode({ file: store.absolute(file), from: transferSyntaxUid, to });
  return { transferSyntaxUid: to, dataSet: { file: converted.file, offset: 0 }, done: converted.remove };
}
