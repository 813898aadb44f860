import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dimseStatus, HeaderWalker, readFileMeta, stringOf, tags } from '@isthmus/dicom';
import { instanceSubject, requestSubjects } from '@isthmus/domain';
import type { InstanceStored, LocateAnswer, LocateRequest } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { CommitmentReport, CommitmentRequest, InstanceReference } from './commitment.ts';
import { objectStoreError } from './errors.ts';
import { fileOf } from './object-store.ts';
import type { ObjectStore } from './object-store.ts';

export interface CommitmentCheckParts {
  readonly store: Pick<ObjectStore, 'absolute'>;
  readonly eventLog: Pick<EventLog, 'readSubject' | 'requests'>;
}

/** Study Instance UID stands in the first of these in nearly every object; the last is the end of patience. */
const headBytes = [16 * 1024, 256 * 1024, 8 * 1024 * 1024];
/** Longer than any UID with its header. */
const uidBytesMax = 128;
const wanted: ReadonlySet<string> = new Set([tags.StudyInstanceUID]);
const locateTimeoutMs = 15_000;
/** SOP Instance UIDs in one question. */
const uidsPerQuestionMax = 500;

/**
 * What this cluster vouches for: an object is committed when its file is in place, of the class that is named, and its
 * event acknowledged: it is in the index, which knows of acknowledged events only, or in the log itself. Everything
 * else has failed: 0112 not (wholly) here, 0119 of another class. What the bytes of the file are is not looked at.
 *
 * @throws {ObjectStoreFailedError} The disk does not answer: that says nothing about the objects.
 * @throws {EventLogError} Neither index nor log could tell of some object; ask again later.
 */
export async function checkCommitment(
  { transactionUid, instances }: CommitmentRequest,
  parts: CommitmentCheckParts,
): Promise<CommitmentReport> {
  const committed: InstanceReference[] = [];
  const failed: (InstanceReference & { reason: number })[] = [];
  const inPlace = new Map<string, InstanceReference[]>();
  for (const instance of instances) {
    const found = await lookAt(parts.store.absolute(fileOf(instance.sopInstanceUid)));
    if (found === undefined) failed.push({ ...instance, reason: dimseStatus.NoSuchSopInstance });
    else if (found.sopClassUid !== instance.sopClassUid) {
      failed.push({ ...instance, reason: dimseStatus.ClassInstanceConflict });
    } else {
      const ofStudy = inPlace.get(found.studyInstanceUid) ?? [];
      ofStudy.push(instance);
      inPlace.set(found.studyInstanceUid, ofStudy);
    }
  }
  for (const [studyInstanceUid, ofStudy] of inPlace) {
    const known = await acknowledgedOf(
      studyInstanceUid,
      ofStudy.map((one) => one.sopInstanceUid),
      parts,
    );
    for (const instance of ofStudy) {
      if (known.has(instance.sopInstanceUid)) committed.push(instance);
      else failed.push({ ...instance, reason: dimseStatus.NoSuchSopInstance });
    }
  }
  return { transactionUid, committed, failed };
}

/** Class and study of a stored object; undefined when there is none, or not one of ours. */
async function lookAt(
  path: string,
): Promise<{ readonly sopClassUid: string; readonly studyInstanceUid: string } | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw objectStoreError(error);
  }
  try {
    for (const length of headBytes) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, 0);
      const head = buffer.subarray(0, bytesRead);
      const isWhole = bytesRead < length;
      // Found a little before the cut, its value ends before it, too.
      const isClear = isWhole || readHead(head.subarray(0, -uidBytesMax)) !== undefined;
      const found = isClear ? readHead(head) : undefined;
      if (found !== undefined || isWhole) return found;
    }
    return undefined;
  } catch (error) {
    throw objectStoreError(error);
  } finally {
    await handle.close();
  }
}

function readHead(head: Buffer): { sopClassUid: string; studyInstanceUid: string } | undefined {
  let meta: ReturnType<typeof readFileMeta>;
  try {
    meta = readFileMeta(head);
  } catch {
    return undefined;
  }
  const walker = new HeaderWalker(meta.transferSyntaxUid, { wanted });
  walker.push(head.subarray(meta.dataSetOffset));
  const studyInstanceUid = stringOf(walker.attributes, tags.StudyInstanceUID);
  return studyInstanceUid === undefined ? undefined : { sopClassUid: meta.sopClassUid, studyInstanceUid };
}

/** Those whose event is acknowledged. The index knows of old ones, the log of those of a moment ago. */
async function acknowledgedOf(
  studyInstanceUid: string,
  sopInstanceUids: readonly string[],
  { eventLog }: CommitmentCheckParts,
): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  let indexFault: unknown;
  try {
    for (let at = 0; at < sopInstanceUids.length; at += uidsPerQuestionMax) {
      const question: LocateRequest = {
        level: 'IMAGE',
        studyInstanceUids: [studyInstanceUid],
        sopInstanceUids: sopInstanceUids.slice(at, at + uidsPerQuestionMax),
      };
      const options = { timeoutMs: locateTimeoutMs };
      for await (const answer of eventLog.requests.askStream<LocateRequest, LocateAnswer>(
        requestSubjects.locate,
        question,
        options,
      )) {
        if ('instances' in answer) for (const one of answer.instances) known.add(one.sopInstanceUid);
      }
    }
  } catch (error) {
    indexFault = error;
  }
  if (sopInstanceUids.every((uid) => known.has(uid))) return known;
  for (const { event } of await eventLog.readSubject('INSTANCES', instanceSubject(studyInstanceUid), 0)) {
    known.add((event.data as InstanceStored).sopInstanceUid);
  }
  // The log forgets after a while: without the index it cannot say that something was never acknowledged.
  if (indexFault !== undefined && !sopInstanceUids.every((uid) => known.has(uid))) throw indexFault;
  return known;
}
