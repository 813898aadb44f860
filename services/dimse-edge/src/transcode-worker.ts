import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { readFileMeta, transcodeDataSet } from '@isthmus/dicom';

/** One object to convert. Paths are absolute. */
export interface TranscodeTask {
  readonly file: string;
  /** Where the converted data set goes, without file meta information. */
  readonly into: string;
  readonly from: string;
  readonly to: string;
  readonly bytesMax: number;
}

/** Nothing in `why`: it is done. */
export interface TranscodeAnswer {
  readonly why?: string;
}

/** A thread that converts one object after the other; started by `transcoder.ts`. It may be ended at any time. */
parentPort?.on('message', (task: TranscodeTask) => {
  let answer: TranscodeAnswer = {};
  try {
    transcode(task);
  } catch (error) {
    answer = { why: (error as Error).message };
  }
  parentPort?.postMessage(answer);
});

function transcode({ file, into, from, to, bytesMax }: TranscodeTask): void {
  if (statSync(file).size > bytesMax) throw new Error(`It is larger than ${bytesMax} bytes`);
  const bytes = readFileSync(file);
  const dataSet = bytes.subarray(readFileMeta(bytes).dataSetOffset);
  writeFileSync(into, transcodeDataSet(dataSet, { from, to, inflatedBytesMax: bytesMax }), {
    flag: 'wx',
    mode: 0o640,
  });
}
