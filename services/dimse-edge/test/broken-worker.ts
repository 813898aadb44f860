import { writeFileSync } from 'node:fs';
import { parentPort } from 'node:worker_threads';
import type { TranscodeTask } from '../src/transcode-worker.ts';

/** In the place of the real one: the file's name says how it breaks. */
parentPort?.on('message', ({ file, into }: TranscodeTask) => {
  writeFileSync(into, 'half of it');
  if (file === 'hangs') for (;;);
  if (file === 'exits') process.exit(3);
  if (file === 'throws') throw new Error('a defect');
  if (file === 'eats memory')
    for (const eaten: number[][] = []; ;) eaten.push(Array.from({ length: 10_000 }, () => 1.5));
  parentPort?.postMessage({});
});
