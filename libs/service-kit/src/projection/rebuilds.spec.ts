import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ScriptedSource } from '../../test/scripted-source.ts';
import { createRebuilds, ProjectionHaltedError } from '../index.ts';
import type { ProjectionState, RebuildStage } from '../index.ts';

/** A projection that folds when the test lets it. */
class ScriptedProjection {
  position = 0;
  now: ProjectionState = 'running';
  behind = 0;
  begun = Promise.withResolvers<void>();
  folded = Promise.withResolvers<void>();
  reaches = Infinity;
  readonly #steps: string[];
  readonly #name: string;

  constructor(name: string, steps: string[]) {
    this.#name = name;
    this.#steps = steps;
  }

  checkpoint = (): number => this.position;
  state = (): ProjectionState => this.now;
  health = (): { ok: boolean; detail: string } => ({
    ok: false,
    detail: 'halted: event 2 cannot be applied',
  });
  lag = async (): Promise<number> => this.behind;
  async rebuild(): Promise<void> {
    this.#steps.push(`${this.#name} emptied`);
    this.begun.resolve();
    await this.folded.promise;
    this.#steps.push(`${this.#name} folded`);
  }
  async waitFor(sequence: number): Promise<boolean> {
    this.#steps.push(`${this.#name} waits for ${sequence}`);
    return sequence <= this.reaches;
  }
}

function scripted(filter?: string) {
  const steps: string[] = [];
  const source = new ScriptedSource();
  source.add('a', 'b', 'c');
  const studies = new ScriptedProjection('studies', steps);
  const instances = new ScriptedProjection('instances', steps);
  const stages: RebuildStage[] = [
    { stream: 'STUDY', projection: studies, ...(filter === undefined ? {} : { filter }) },
    { stream: 'INSTANCES', projection: instances },
  ];
  return { steps, source, studies, instances, stages };
}

describe('rebuilds of a service', () => {
  it('runs the stages of a name one after the other, each up to the end of its log', async () => {
    const { steps, source, studies, instances, stages } = scripted();
    studies.folded.resolve();
    instances.folded.resolve();
    const rebuilt = await createRebuilds([{ name: 'states', stages }], source).rebuild('states');
    assert.equal(typeof rebuilt === 'object' && rebuilt.rebuild, 'done');
    assert.deepEqual(steps, [
      'studies emptied',
      'studies folded',
      'studies waits for 3',
      'instances emptied',
      'instances folded',
      'instances waits for 3',
    ]);
  });

  it('waits only for events that pass the filter of a stage', async () => {
    const { steps, source, studies, instances, stages } = scripted('order.>');
    studies.folded.resolve();
    instances.folded.resolve();
    const withLastOf = Object.assign(source, { lastOf: async () => source.events[1] });
    await createRebuilds([{ name: 'states', stages }], withLastOf).rebuild('states');
    assert.ok(steps.includes('studies waits for 2'));
    assert.ok(steps.includes('instances waits for 3'));
  });

  it('empties nothing when a log of any stage has lost its first events', async () => {
    const { steps, source, stages } = scripted();
    const rebuilds = createRebuilds([{ name: 'states', stages }], source);
    source.events.shift();
    assert.equal(await rebuilds.rebuild('states'), 'log-shortened');
    assert.deepEqual(steps, []);
    assert.equal((await rebuilds.list())[0]?.rebuild, 'failed');
  });

  it('rebuilds from an empty log: there is nothing that could be lost', async () => {
    const { steps, source, studies, instances, stages } = scripted();
    source.events.length = 0;
    studies.folded.resolve();
    instances.folded.resolve();
    await createRebuilds([{ name: 'states', stages }], source).rebuild('states');
    assert.equal(steps.length, 6);
  });

  it('lets who asks for a running rebuild wait for that one', async () => {
    const { steps, source, studies, instances, stages } = scripted();
    const rebuilds = createRebuilds([{ name: 'states', stages }], source);
    const first = rebuilds.rebuild('states');
    await studies.begun.promise;
    const second = rebuilds.rebuild('states');
    assert.equal((await rebuilds.list())[0]?.rebuild, 'running');
    studies.folded.resolve();
    instances.folded.resolve();
    assert.deepEqual(await second, await first);
    assert.equal(steps.filter((step) => step.endsWith('emptied')).length, 2);
    assert.equal((await rebuilds.list())[0]?.rebuild, 'done');
  });

  it('begins no further stage when one halts, says why, and may be asked again', async () => {
    const { steps, source, studies, instances, stages } = scripted();
    const rebuilds = createRebuilds([{ name: 'states', stages }], source);
    studies.folded.resolve();
    instances.folded.resolve();
    Object.assign(studies, { reaches: 1, now: 'halted' });
    await assert.rejects(rebuilds.rebuild('states'), (error: Error) => {
      assert.ok(error instanceof ProjectionHaltedError);
      return /event 2 cannot be applied/.test(error.message);
    });
    assert.equal(steps.includes('instances emptied'), false);
    assert.equal((await rebuilds.list())[0]?.rebuild, 'failed');
    Object.assign(studies, { reaches: Infinity, now: 'running' });
    await rebuilds.rebuild('states');
    assert.equal((await rebuilds.list())[0]?.rebuild, 'done');
  });

  it('tells of a name the checkpoint of each log, the lag of all, and the stage that does not follow', async () => {
    const { source, studies, instances, stages } = scripted();
    Object.assign(studies, { position: 3, behind: 1 });
    Object.assign(instances, { position: 2, behind: 4, now: 'retrying' });
    const [state] = await createRebuilds([{ name: 'states', stages }], source).list();
    assert.deepEqual(state, {
      name: 'states',
      state: 'retrying',
      checkpoints: { STUDY: 3, INSTANCES: 2 },
      lag: 5,
      rebuild: 'none',
    });
  });

  it('knows no other names', async () => {
    const { source, stages } = scripted();
    assert.equal(await createRebuilds([{ name: 'states', stages }], source).rebuild('studies'), 'unknown');
  });
});
