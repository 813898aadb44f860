import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StoredEvent } from '@isthmus/domain';
import { recordedLog } from '../../test/database.ts';
import { watchConfiguration } from '../index.ts';

function changed(sequence: number, name: string, version: number, value: object | null): StoredEvent {
  const data = { kind: 'station', name, value, version, author: 'spec', reason: '' };
  const event = { type: 'ConfigurationChanged', data } as StoredEvent['event'];
  return { sequence, logSubject: 'config.station.00', event };
}

/** A source whose items the test gives; `broken` makes the present watch fail. */
function scripted() {
  const queue: (StoredEvent | 'caughtUp' | Error)[] = [];
  let wake = Promise.withResolvers<void>();
  return {
    give: (...items: (StoredEvent | 'caughtUp' | Error)[]) => {
      queue.push(...items);
      wake.resolve();
      wake = Promise.withResolvers<void>();
    },
    async *watchLast(_filter: string, signal: AbortSignal): AsyncIterable<StoredEvent | 'caughtUp'> {
      const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      while (!signal.aborted) {
        const item = queue.shift();
        if (item instanceof Error) throw item;
        if (item === undefined) await Promise.race([wake.promise, aborted]);
        else yield item;
      }
    },
  };
}

describe('configuration watch', () => {
  it('[L2] is ready with all that was configured, then tells each change with what was before', async () => {
    const source = scripted();
    const watch = watchConfiguration({ source, log: recordedLog().log });
    const told: [number, number][] = [];
    watch.onChange((now, before) => told.push([before.stations.size, now.stations.size]));
    source.give(changed(1, 'A', 1, { aeTitle: 'A' }), changed(2, 'B', 1, { aeTitle: 'B' }), 'caughtUp');
    await watch.ready;
    assert.deepEqual([...watch.current().stations.keys()], ['A', 'B']);
    assert.deepEqual(told, [[0, 2]]);
    const gone = new Promise<void>((resolve) => watch.onChange(() => resolve()));
    source.give(changed(3, 'A', 2, null));
    await gone;
    assert.deepEqual(told, [
      [0, 2],
      [2, 1],
    ]);
    watch.stop();
  });

  it('ignores a change that it has already, and goes on after the log was away', async () => {
    const source = scripted();
    const { log, lines } = recordedLog();
    const watch = watchConfiguration({ source, log });
    source.give(changed(1, 'A', 2, { aeTitle: 'A', port: 2 }), 'caughtUp');
    await watch.ready;
    const told = new Promise<void>((resolve) => watch.onChange(() => resolve()));
    source.give(
      new Error('away'),
      changed(1, 'A', 1, { aeTitle: 'A', port: 1 }),
      changed(2, 'B', 1, {}),
      'caughtUp',
    );
    await told;
    assert.deepEqual([...watch.current().stations.keys()], ['A', 'B']);
    assert.equal(watch.current().stations.get('A')?.port, 2);
    assert.equal(lines.length, 1);
    watch.stop();
  });
});
