import type { EdgeUnderTest } from './edge.ts';
import { makeObjects } from './objects.ts';
import { run } from './programs.ts';
import type { Rig } from './rig.ts';

const objectBytes = 512 * 1024;

/** A well-behaved sender: storescu, one association after the other. */
export interface HealthySender {
  /** Sends one batch over a new association. @returns Objects per second; 0 when it was not served to the end. */
  batch(): Promise<number>;
  /** Sends batches one after the other until the work is done, and the one under way to its end. */
  batchesBeside(work: Promise<unknown>): Promise<readonly number[]>;
}

/** Objects of 512 KB, as a CT sends them; each batch has new ones, and the edge's copies are removed after it. */
export function healthySender(rig: Rig, edge: EdgeUnderTest): HealthySender {
  const objects = makeObjects(rig.folder('healthy'), rig.options.quick ? 20 : 64, objectBytes);
  const to = ['-R', '-aec', edge.aeTitle, '127.0.0.1', String(edge.port)];
  const batch = async (): Promise<number> => {
    objects.renumber();
    const from = performance.now();
    const { code, output } = await run('storescu', [...to, ...objects.files]);
    const seconds = (performance.now() - from) / 1_000;
    edge.empty();
    if (code === 0) return objects.files.length / seconds;
    rig.say(`the healthy sender was not served: ${output.trim().split('\n')[0] ?? ''}`);
    return 0;
  };
  return {
    batch,
    batchesBeside: async (work) => {
      let over = false;
      const ended = work.finally(() => (over = true));
      // A failure is told by whoever waits for the work itself.
      ended.catch(() => undefined);
      const rates: number[] = [];
      while (!over) rates.push(await batch());
      return rates;
    },
  };
}
