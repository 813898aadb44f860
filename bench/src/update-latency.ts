import { call, changeLink, getStudy, setReportStatus, startSystem } from '@isthmus/e2e';
import { studiesOnDisk, studyUidsOf, type SystemUnderTest } from '@isthmus/e2e';
import { eventually } from '@isthmus/testing';
import { runTool } from '@isthmus/testing/dcmtk';

const samples = 20;
const deadlineMs = 5_000;
const queriesOff = { internalQueries: { in: false, out: false }, externalQueries: { in: false, out: false } };

/**
 * Milliseconds from sending `PUT report-status` APPROVED at one holder until `GET /studies/{uid}` or a C-FIND at the
 * other shows it, with both query switches of every link off, so that the answer cannot come from elsewhere. 20 samples
 * each way, the report reopened between them, and the same from spoke to spoke through a hub.
 */
export async function updateLatency(): Promise<void> {
  for (const [topology, title] of [
    ['mesh', 'linked directly'],
    ['hub', 'through a hub'],
  ] as const) {
    const system = await startSystem({ clusters: 3, topology });
    try {
      const uid = await heldByBoth(system);
      await switchQueriesOff(system);
      for (const [from, to] of [
        ['north', 'south'],
        ['south', 'north'],
      ] as const) {
        const rest = await measured(system, uid, from, to, visibleByRest);
        const find = await measured(system, uid, from, to, visibleByFind);
        console.log(
          `${title}, ${from} → ${to}: by REST ${summary(rest)}; by C-FIND (findscu) ${summary(find)}`,
        );
      }
    } finally {
      await system.stop();
    }
  }
}

async function switchQueriesOff(system: SystemUnderTest): Promise<void> {
  for (const { http } of system.clusters) {
    const { body } = await call<{ items: { peer: string }[] }>(http, 'GET', '/api/v1/links');
    for (const { peer } of body.items) {
      const changed = await changeLink(http, peer, queriesOff);
      if (changed.status !== 200) throw new Error(`link to ${peer}: ${changed.status}`);
    }
  }
}

async function heldByBoth(system: SystemUnderTest): Promise<string> {
  const study = studiesOnDisk()[0]!;
  const uid = studyUidsOf(study.files)[0]!;
  for (const id of ['north', 'south']) {
    const { aeTitle, dicom } = system.cluster(id);
    const stored = await runTool('storescu', [
      '-aec',
      aeTitle,
      dicom.host,
      String(dicom.port),
      ...study.files,
    ]);
    if (stored.code !== 0) throw new Error(stored.output);
  }
  for (const id of ['north', 'south']) {
    await eventually(`${id} knows both holders`, async () => {
      return (await getStudy(system.cluster(id).http, uid)).body.holders.length === 2;
    });
  }
  return uid;
}

type Visible = (system: SystemUnderTest, id: string, uid: string, status: Status) => Promise<boolean>;
type Status = 'APPROVED' | 'DICTATED';

const visibleByRest: Visible = async (system, id, uid, status) =>
  (await getStudy(system.cluster(id).http, uid)).body.reportStatus === status;

const visibleByFind: Visible = async (system, id, uid, status) => {
  const { aeTitle, dicom } = system.cluster(id);
  const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`, '-k', '4008,0212'];
  const found = await runTool('findscu', [
    '-v',
    '-S',
    '-aec',
    aeTitle,
    ...keys,
    dicom.host,
    String(dicom.port),
  ]);
  const interpretation = { APPROVED: 'APPROVED', DICTATED: 'RECORDED' }[status];
  return found.output.includes(`(4008,0212) CS [${interpretation}`);
};

async function measured(
  system: SystemUnderTest,
  uid: string,
  from: string,
  to: string,
  visible: Visible,
): Promise<number[]> {
  const times: number[] = [];
  for (let sample = 0; sample < samples; sample++) {
    await changeAndSee(system, uid, from, to, visibleByRest, 'DICTATED');
    times.push(await changeAndSee(system, uid, from, to, visible, 'APPROVED'));
  }
  return times;
}

/** @returns milliseconds from sending the change until it is seen */
async function changeAndSee(
  system: SystemUnderTest,
  uid: string,
  from: string,
  to: string,
  visible: Visible,
  status: Status,
): Promise<number> {
  const started = performance.now();
  const answer = await setReportStatus(system.cluster(from).http, uid, status, {
    reopen: status === 'DICTATED',
  });
  if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
  await eventually(`${status} at ${to}`, () => visible(system, to, uid, status), {
    timeoutMs: deadlineMs,
    everyMs: 2,
  });
  return performance.now() - started;
}

function summary(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(0);
  return `median ${at(0.5)} ms, least ${at(0)}, most ${at(1)} of ${times.length}`;
}
