import { changeLink, eventually, getStudy, setReportStatus, startSystem } from '@isthmus/e2e';
import { dcmtk, studiesOnDisk, studyUidsOf, type SystemUnderTest } from '@isthmus/e2e';

const samples = 20;
/** One after the other, so that each sample changes something; going back is a reopening. */
const statuses = ['APPROVED', 'DICTATED', 'TRANSCRIBED'] as const;
const deadlineMs = 5_000;
const queriesOff = { internalQueries: { in: false, out: false }, externalQueries: { in: false, out: false } };

/**
 * Milliseconds from sending `PUT report-status` at one holder until `GET /studies/{uid}` and a C-FIND at the other show
 * it, with both query switches of the link off, so that the answer cannot come from the first. 20 samples each way, and
 * the same from spoke to spoke through a hub.
 */
export async function updateLatency(): Promise<void> {
  await inSystem('mesh', 'linked directly', async (system) => {
    for (const [id, peer] of [
      ['north', 'south'],
      ['south', 'north'],
    ] as const) {
      const changed = await changeLink(system.cluster(id).http, peer, queriesOff);
      if (changed.status !== 200) throw new Error(`link of ${id}: ${changed.status}`);
    }
  });
  await inSystem('hub', 'through a hub', async () => undefined);
}

async function inSystem(
  topology: 'mesh' | 'hub',
  title: string,
  prepare: (system: SystemUnderTest) => Promise<void>,
): Promise<void> {
  const system = await startSystem({ clusters: 3, topology });
  try {
    const uid = await heldByBoth(system);
    await prepare(system);
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

async function heldByBoth(system: SystemUnderTest): Promise<string> {
  const study = studiesOnDisk()[0]!;
  const uid = studyUidsOf(study.files)[0]!;
  for (const id of ['north', 'south']) {
    const { aeTitle, dicom } = system.cluster(id);
    const stored = await dcmtk('storescu', '-aec', aeTitle, dicom.host, String(dicom.port), ...study.files);
    if (stored.code !== 0) throw new Error(stored.output);
  }
  for (const id of ['north', 'south']) {
    await eventually(`${id} knows both holders`, 30_000, async () => {
      return (await getStudy(system.cluster(id).http, uid)).body.holders.length === 2;
    });
  }
  return uid;
}

type Visible = (system: SystemUnderTest, id: string, uid: string, status: string) => Promise<boolean>;

const visibleByRest: Visible = async (system, id, uid, status) =>
  (await getStudy(system.cluster(id).http, uid)).body.reportStatus === status;

const visibleByFind: Visible = async (system, id, uid, status) => {
  const { aeTitle, dicom } = system.cluster(id);
  const keys = ['-k', 'QueryRetrieveLevel=STUDY', '-k', `StudyInstanceUID=${uid}`, '-k', '4008,0212'];
  const found = await dcmtk('findscu', '-v', '-S', '-aec', aeTitle, ...keys, dicom.host, String(dicom.port));
  const word = { APPROVED: 'APPROVED', DICTATED: 'RECORDED', TRANSCRIBED: 'TRANSCRIBED' }[status];
  return found.output.includes(`(4008,0212) CS [${word}`);
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
    const { body } = await getStudy(system.cluster(from).http, uid);
    const next =
      statuses[(statuses.indexOf(body.reportStatus as (typeof statuses)[number]) + 1) % statuses.length]!;
    const started = performance.now();
    const answer = await setReportStatus(system.cluster(from).http, uid, next, { reopen: true });
    if (answer.status !== 200) throw new Error(`${answer.status} ${JSON.stringify(answer.body)}`);
    await eventually(`${next} at ${to}`, deadlineMs, () => visible(system, to, uid, next), 2);
    times.push(performance.now() - started);
  }
  return times;
}

function summary(times: number[]): string {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (part: number): string => sorted[Math.floor(part * (sorted.length - 1))]!.toFixed(0);
  return `median ${at(0.5)} ms, least ${at(0)}, most ${at(1)} of ${times.length}`;
}
