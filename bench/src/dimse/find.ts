import { element, tags, uids } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import type { RequestedAssociation } from '@isthmus/dimse';
import { startEdge } from './edge.ts';
import type { EdgeUnderTest } from './edge.ts';
import { makeObjects, seriesInstanceUid, studyInstanceUid } from './objects.ts';
import { startQueryServer } from './peers.ts';
import type { Peer } from './peers.ts';
import { secondsOf } from './programs.ts';
import { boundFinding, ratioFinding } from './report.ts';
import type { Rig } from './rig.ts';
import { rotated } from './store-in.ts';

/** The most that dcmqrscp's index file takes. */
const queryServerRows = 4_000;
const cancelAfterRows = 100;
const cancelled = 0xfe00;

const identifier: DataSetJson = {
  [tags.QueryRetrieveLevel]: element('CS', 'IMAGE'),
  [tags.StudyInstanceUID]: element('UI', studyInstanceUid),
  [tags.SeriesInstanceUID]: element('UI', seriesInstanceUid),
  [tags.SOPInstanceUID]: element('UI'),
  [tags.SOPClassUID]: element('UI'),
  [tags.InstanceNumber]: element('IS'),
};

interface Measured {
  readonly rates: number[];
  readonly toolRates: number[];
}

/**
 * C-FIND with 10,000 responses: the edge with its question answered over NATS by another process, as in a cluster, against
 * dcmqrscp with what its index holds. Rates are responses per second, from the request to the final response.
 */
export async function find(rig: Rig): Promise<void> {
  const rows = rig.options.quick ? 4_000 : 10_000;
  const edge = await startEdge(rig, { fsync: 'group' });
  await edge.federate(rows);
  const objects = makeObjects(rig.folder('objects'), rig.options.quick ? 400 : queryServerRows, 1_024);
  const peer = await startQueryServer(rig, objects.files);

  const servers = [
    { server: edge as Peer, rows, measured: { rates: [], toolRates: [] } as Measured },
    { server: peer, rows: objects.files.length, measured: { rates: [], toolRates: [] } as Measured },
  ] as const;
  const figures = { first: [] as number[], cancel: [] as number[], lag: [] as number[] };
  for (let run = 0; run <= rig.options.runs; run++) {
    if (run > 1 && !rig.timeLeft) {
      rig.report.note(`C-FIND: time for ${run - 1} runs only`);
      break;
    }
    for (const { server, rows: expected, measured } of rotated(servers, run)) {
      if (server === edge) await edge.lagMs();
      const { seconds, firstMs } = await queried(server, expected);
      if (server === edge && run > 0) {
        figures.lag.push(await edge.lagMs());
        figures.first.push(firstMs);
      }
      const toolSeconds = await queriedByTool(server);
      rig.say(
        `run ${run}, ${server.name}: ${expected} responses, ${(expected / seconds).toFixed(0)}/s, ` +
          `first after ${firstMs.toFixed(1)} ms; findscu ${(expected / toolSeconds).toFixed(0)}/s`,
      );
      if (run === 0) continue;
      measured.rates.push(expected / seconds);
      measured.toolRates.push(expected / toolSeconds);
    }
    const cancelMs = await cancelTime(edge);
    if (run > 0) figures.cancel.push(cancelMs);
  }
  const [ours, theirs] = [servers[0].measured, servers[1].measured];
  const what = `C-FIND, ${rows} responses / dcmqrscp, ${objects.files.length}`;
  rig.report.add(ratioFinding(what, ours.rates, theirs.rates, { unit: 'responses/s', atLeast: 1 }));
  const byTool = `${what}, asked by findscu, its start counted`;
  rig.report.add(ratioFinding(byTool, ours.toolRates, theirs.toolRates, { unit: 'responses/s' }));
  rig.report.add(boundFinding('C-FIND: first response', figures.first, { unit: 'ms', below: 10 }));
  rig.report.add(boundFinding('C-FIND: FE00 after C-CANCEL', figures.cancel, { unit: 'ms', below: 100 }));
  rig.report.add(boundFinding('C-FIND: event-loop lag, longest', figures.lag, { unit: 'ms', below: 20 }));
}

async function associationTo(server: Peer): Promise<RequestedAssociation> {
  return requestAssociation({
    host: '127.0.0.1',
    port: server.port,
    calledAeTitle: server.aeTitle,
    callingAeTitle: 'BENCHSCU',
    contexts: [{ sopClassUid: uids.StudyRootFind, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
  });
}

/** @throws {Error} Other than the expected number of responses, or no success. */
async function queried(server: Peer, expected: number): Promise<{ seconds: number; firstMs: number }> {
  const association = await associationTo(server);
  const from = performance.now();
  const responses = association.cFind({ sopClassUid: uids.StudyRootFind, identifier });
  let rows = 0;
  let firstMs = Number.NaN;
  for await (const _row of responses) {
    if (rows === 0) firstMs = performance.now() - from;
    rows += 1;
  }
  const { status } = await responses.final;
  const seconds = (performance.now() - from) / 1_000;
  await association.release();
  if (rows !== expected || status !== 0) {
    throw new Error(`${server.name} answered ${rows} of ${expected} rows, status ${status.toString(16)}`);
  }
  return { seconds, firstMs };
}

function queriedByTool(server: Peer): Promise<number> {
  const keys = Object.entries(identifier).flatMap(([tag, { Value }]) => {
    const value = Value === undefined ? '' : `=${String(Value[0])}`;
    return ['-k', `${tag.slice(0, 4)},${tag.slice(4)}${value}`];
  });
  return secondsOf('findscu', [
    ['-q', '-S', '-aec', server.aeTitle, ...keys, '127.0.0.1', String(server.port)],
  ]);
}

/** Milliseconds from C-CANCEL, sent when some rows have come, to the final response. */
async function cancelTime(edge: EdgeUnderTest): Promise<number> {
  const association = await associationTo(edge);
  const responses = association.cFind({ sopClassUid: uids.StudyRootFind, identifier });
  let rows = 0;
  let from = Number.NaN;
  for await (const _row of responses) {
    rows += 1;
    if (rows !== cancelAfterRows) continue;
    from = performance.now();
    responses.cancel();
  }
  const { status } = await responses.final;
  const ms = performance.now() - from;
  await association.release();
  if (status !== cancelled) throw new Error(`C-CANCEL after ${rows} rows ended with ${status.toString(16)}`);
  return ms;
}
