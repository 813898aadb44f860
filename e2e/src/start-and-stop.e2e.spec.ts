import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@isthmus/testing';
import { call, setReportStatus, getStudy } from './api.ts';
import { startSystem } from './system-under-test.ts';

const main = fileURLToPath(new URL('../../deploy/local/src/main.ts', import.meta.url));

/** Processes whose command line names the data folder of a test. */
function processesOf(dataDirectory: string): readonly string[] {
  const all = execFileSync('ps', ['-eo', 'pid,args'], { encoding: 'utf8' }).split('\n');
  return all.filter((line) => line.includes(dataDirectory) && !line.includes('ps -eo'));
}

/** Lines of the services' logs that tell who a patient is; the sample patients' data are known. */
function patientDataInLogs(dataDirectory: string): readonly string[] {
  const logs = globSync(join(dataDirectory, '*/logs/*.log'));
  assert.ok(logs.length >= 6, 'the logs are where they should be');
  const lines = logs.flatMap((file) => readFileSync(file, 'utf8').split('\n'));
  return lines.filter((line) => /Winter|Clara|Okafor|M.ller|DEMO-100|19580412/i.test(line));
}

interface SearchBody {
  readonly items: readonly {
    readonly studyInstanceUid: string;
    readonly holders: readonly { readonly cluster: string }[];
  }[];
  readonly clusters: readonly { readonly cluster: string; readonly status: string }[];
}
const searchAt = (origin: string) =>
  call<SearchBody>(origin, 'POST', '/api/v1/studies:search', { patientId: 'DEMO-1001' });

describe('npm start', () => {
  it('[Q1] [O1] [O4] shows the sample studies of all sites at every site, stops clean and keeps its data', async () => {
    const dataDirectory = mkdtempSync(join(tmpdir(), 'isthmus-keep-'));
    try {
      const first = await startSystem({ clusters: 3, samples: true, dataDirectory });
      const uid = await eventually('EAST finds all four studies of the patient', async () => {
        const { body } = await searchAt(first.cluster('east').http);
        assert.equal(body.items.length, 4, JSON.stringify(body));
        return body.items.find((study) => study.holders[0]!.cluster === 'north')!.studyInstanceUid;
      });
      assert.equal((await setReportStatus(first.cluster('north').http, uid, 'DICTATED')).status, 200);
      await first.interrupt();
      assert.deepEqual(processesOf(dataDirectory), []);
      assert.deepEqual(patientDataInLogs(dataDirectory), []);

      const second = await startSystem({ clusters: 3, samples: true, dataDirectory });
      assert.equal((await getStudy(second.cluster('north').http, uid)).body.reportStatus, 'DICTATED');
      assert.match(second.output(), /Data of the last run is here/);
      await second.interrupt();
      assert.deepEqual(processesOf(dataDirectory), []);
    } finally {
      rmSync(dataDirectory, { recursive: true, force: true });
    }
  });

  it('names a part that crashes and starts it again', async () => {
    const system = await startSystem({ clusters: 2 });
    try {
      const pid = system.cluster('south').pids['dimse-edge']!;
      process.kill(pid, 'SIGKILL');
      await eventually('it says so and runs again', async () => {
        assert.match(system.output(), /south\/dimse-edge ended \(SIGKILL\)/);
        const now = system.cluster('south').pids['dimse-edge'];
        return now !== undefined && now !== pid;
      });
    } finally {
      await system.stop();
    }
  });

  it('leaves nothing behind when it is killed itself', async () => {
    const system = await startSystem({ clusters: 2 });
    const { dataDirectory } = system;
    const { pid } = JSON.parse(
      execFileSync('cat', [join(dataDirectory, 'isthmus.json')], { encoding: 'utf8' }),
    ) as {
      pid: number;
    };
    process.kill(pid, 'SIGKILL');
    await eventually('all its processes are gone', () => processesOf(dataDirectory).length === 0, {
      timeoutMs: 15_000,
    });
    await system.stop();
  });

  it('names a folder that it cannot use, and leaves nothing of a half start', () => {
    const data = mkdtempSync(join(tmpdir(), 'isthmus-half-start-'));
    mkdirSync(join(data, 'north'));
    writeFileSync(join(data, 'north/postgres'), 'a file where a folder belongs');
    const arguments_ = [main, '--clusters', '2', '--data', data, '--port-offset', '7000'];
    const run = spawnSync(process.execPath, arguments_, { encoding: 'utf8', timeout: 60_000 });
    assert.equal(run.status, 1);
    assert.match(run.stderr, /did not start: .*north\/postgres/);
    assert.doesNotMatch(run.stderr, /\n +at /);
    assert.deepEqual(processesOf(data), []);
    rmSync(data, { recursive: true });
  });

  it('explains a wrong option and starts nothing', () => {
    const run = spawnSync(process.execPath, [main, '--topology', 'star'], { encoding: 'utf8' });
    assert.equal(run.status, 2);
    assert.match(run.stderr, /--topology is one of mesh, ring, chain, hub/);
  });
});
