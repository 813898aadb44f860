import { randomUUID } from 'node:crypto';
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { TranscodeFailedError } from './errors.ts';
import type { TranscodeAnswer, TranscodeTask } from './transcode-worker.ts';

/** A converted data set in a file of its own. */
export interface Transcoded {
  readonly file: string;
  /** Removes the file. Never rejects. */
  remove(): Promise<void>;
}

export interface Transcoder {
  /**
   * Converts a stored object; one at a time, others wait. What is stored is not touched.
   * @throws {TranscodeFailedError} It cannot be converted, is too large, or took too long.
   */
  transcode(task: Pick<TranscodeTask, 'file' | 'from' | 'to'>): Promise<Transcoded>;
  /** Ends the thread; what is under way and what waits rejects. */
  stop(): Promise<void>;
}

/** V8 heap of the thread, MiB: data sets are outside of it. */
const heapMib = 128;

/**
 * Converts in a thread of its own, so that neither a large object nor a damaged one holds up or ends the process: a thread
 * that breaks or takes too long is ended, its object fails, and the next object gets a new one.
 *
 * @param options.directory - For converted data sets; what is left there is for the owner to remove.
 * @param options.worker - The program of the thread; tests put a broken one here.
 */
export function createTranscoder(options: {
  readonly directory: string;
  readonly bytesMax: number;
  readonly timeoutMs: number;
  readonly worker?: URL;
}): Transcoder {
  const program = options.worker ?? new URL('./transcode-worker.ts', import.meta.url);
  let worker: Worker | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let stopped = false;

  const end = async (): Promise<void> => {
    const ending = worker;
    worker = undefined;
    await ending?.terminate();
  };

  const run = (task: TranscodeTask): Promise<void> =>
    new Promise((resolve, reject) => {
      if (stopped) return reject(new TranscodeFailedError('the edge is stopping'));
      const thread = (worker ??= new Worker(program, {
        resourceLimits: { maxOldGenerationSizeMb: heapMib },
        env: {},
      }));
      const settle = (then: () => void): void => {
        clearTimeout(timer);
        thread.off('message', answered).off('error', onError).off('exit', onExit);
        then();
      };
      const answered = ({ why }: TranscodeAnswer): void => {
        settle(() => (why === undefined ? resolve() : reject(new TranscodeFailedError(why))));
      };
      const broken = (why: string): void => {
        settle(() => {
          // What is still said by a thread that ends must not be an unhandled error.
          thread.on('error', () => undefined);
          const failed = (): void => reject(new TranscodeFailedError(why));
          // It must not write any more when its file is removed.
          if (worker === thread) end().then(failed, failed);
          else failed();
        });
      };
      const onError = (error: Error): void => broken(error.message);
      const onExit = (): void => broken('the thread ended');
      const timer = setTimeout(
        () => broken(`it took longer than ${options.timeoutMs} ms`),
        options.timeoutMs,
      );
      thread.once('message', answered);
      thread.once('error', onError);
      thread.once('exit', onExit);
      thread.postMessage(task);
    });

  return {
    transcode: async (what) => {
      const into = join(options.directory, `${randomUUID()}.transcoded`);
      const remove = (): Promise<void> => unlink(into).catch(() => {});
      const turn = last.then(() => run({ ...what, into, bytesMax: options.bytesMax }));
      last = turn.catch(() => undefined);
      try {
        await turn;
      } catch (error) {
        await remove();
        throw error;
      }
      return { file: into, remove };
    },
    stop: async () => {
      stopped = true;
      await end();
    },
  };
}
