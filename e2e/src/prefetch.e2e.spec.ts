import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@isthmus/testing';
import { call } from './api.ts';
import { startSystem, type SystemUnderTest } from './system-under-test.ts';

interface SearchBody {
  readonly items: readonly {
    readonly studyInstanceUid: string;
    readonly studyDate: string;
    readonly holders: readonly { readonly cluster: string; readonly complete: boolean }[];
  }[];
}
interface JobsBody {
  readonly items: readonly { readonly state: string; readonly reason?: string | null }[];
}

describe('an order', () => {
  let system: SystemUnderTest;
  before(async () => {
    system = await startSystem({ clusters: 3, samples: true });
  });
  after(() => system?.stop());

  const search = async (id: string, patientId: string) => {
    const { http } = system.cluster(id);
    return (await call<SearchBody>(http, 'POST', '/api/v1/studies:search', { patientId })).body.items;
  };
  const order = (id: string, more: object) =>
    call(system.cluster(id).http, 'POST', '/api/v1/orders', {
      patient: { id: 'DEMO-1001' },
      modality: 'CT',
      status: 'SCHEDULED',
      ...more,
    });
  const heldBy = async (asked: string, holder: string): Promise<string[]> => {
    const studies = await search(asked, 'DEMO-1001');
    const held = studies.filter(({ holders }) =>
      holders.some((one) => one.cluster === holder && one.complete),
    );
    return held.map(({ studyDate }) => studyDate).sort();
  };

  it("[P1] [P5] brings the patient's three newest priors to the cluster that took it", async () => {
    await eventually('all studies are known', async () => (await search('east', 'DEMO-1001')).length === 4);
    assert.equal((await order('east', { accessionNumber: 'ORD-1' })).status, 201);
    assert.equal((await order('east', { accessionNumber: 'ORD-1' })).status, 200, 'the same order again');
    await eventually(
      'the priors are at EAST',
      async () => {
        // The fourth and oldest one, of 2024, stays where it is.
        assert.deepEqual(await heldBy('east', 'east'), ['20251211', '20260506', '20261103']);
        return true;
      },
      { timeoutMs: 60_000 },
    );
    await eventually(
      'one job, and it says that it is done',
      async () => {
        const { body } = await call<JobsBody>(system.cluster('east').http, 'GET', '/api/v1/prefetch-jobs');
        assert.deepEqual(
          body.items.map(({ state }) => state),
          ['DONE'],
        );
        return true;
      },
      { timeoutMs: 15_000 },
    );
  });

  it('[P1] brings them to another cluster when that one will read', async () => {
    assert.equal((await order('north', { accessionNumber: 'ORD-2', readAt: 'south' })).status, 201);
    await eventually(
      'the priors are at SOUTH',
      async () => {
        assert.deepEqual(await heldBy('south', 'south'), ['20240917', '20251211', '20260506', '20261103']);
        return true;
      },
      { timeoutMs: 60_000 },
    );
  });

  it('refuses an order that lacks what makes it one, by the name of the field', async () => {
    const { http } = system.cluster('north');
    const { status, body } = await call<{ errors: { pointer: string }[] }>(http, 'POST', '/api/v1/orders', {
      patient: {},
      accessionNumber: 'ORD-3',
      status: 'SCHEDULED',
    });
    assert.equal(status, 422);
    assert.equal(body.errors[0]!.pointer, '/patient/id');
  });
});
