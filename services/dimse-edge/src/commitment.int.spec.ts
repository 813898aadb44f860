import assert from 'node:assert/strict';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileMetaInformation, uids } from '@isthmus/dicom';
import { acceptAssociations, requestAssociation } from '@isthmus/dimse';
import type { NEventReportRequest, RequestedAssociation } from '@isthmus/dimse';
import { requestSubjects } from '@isthmus/domain';
import type { CommitAnswer, CommitRequest, NotifyAnswer, NotifyRequest } from '@isthmus/domain';
import { eventually, freePort } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { ctObject } from '../test/objects.ts';
import type { TestObject } from '../test/objects.ts';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';
import { linkEdges, storeAll } from '../test/store-objects.ts';
import { actionInformation, readCommitmentReport } from './commitment.ts';
import type { CommitmentReport, InstanceReference } from './commitment.ts';
import { fileOf } from './object-store.ts';

const commitment = uids.StorageCommitmentPushModel;
const instance = uids.StorageCommitmentPushModelInstance;
const contexts = [{ sopClassUid: commitment, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }];

/** Reports as they come, with how. */
interface Reports {
  readonly came: (CommitmentReport & { readonly eventTypeId: number })[];
  readonly take: (request: NEventReportRequest) => Promise<{ status: number }>;
  /** Status that the next reports are answered with. */
  answer: number;
}

function takeReports(): Reports {
  const reports: Reports = {
    came: [],
    answer: 0,
    take: async ({ dataSet, transferSyntaxUid, eventTypeId }) => {
      const report = readCommitmentReport(dataSet, transferSyntaxUid);
      assert.ok(report, 'a report that can be read');
      reports.came.push({ ...report, eventTypeId });
      return { status: reports.answer };
    },
  };
  return reports;
}

/** A modality that takes reports on a port of its own; stopped after the test. */
async function startModality(test: TestContextLike, reports: Reports, port = 0): Promise<number> {
  const acceptor = await acceptAssociations({
    host: '127.0.0.1',
    port,
    aeTitles: ['CT1'],
    implementationClassUid: '1.2.3.4',
    implementationVersionName: 'MODALITY',
    admit: (request) => ({
      accept: true,
      contexts: request.contexts.map(({ id, transferSyntaxUids }) => ({
        id,
        transferSyntaxUid: transferSyntaxUids[0] as string,
      })),
      roles: request.roles,
    }),
    handlers: { nEventReport: reports.take },
  });
  test.after(() => acceptor.stop({ graceMs: 0 }));
  return acceptor.address.port;
}

/** An association of the modality; on it reports are taken too when it has somewhere to put them. */
function associate(edge: TestEdge, reports?: Reports): Promise<RequestedAssociation> {
  return requestAssociation({
    host: '127.0.0.1',
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle: 'CT1',
    contexts,
    ...(reports && { handlers: { nEventReport: reports.take } }),
  });
}

async function ask(
  association: RequestedAssociation,
  transactionUid: string,
  instances: readonly InstanceReference[],
  more: { readonly actionTypeId?: number; readonly sopInstanceUid?: string } = {},
): Promise<number> {
  const dataSet = actionInformation({ transactionUid, instances });
  const { status } = await association.nAction({
    sopClassUid: commitment,
    sopInstanceUid: instance,
    actionTypeId: 1,
    dataSet,
    ...more,
  });
  return status;
}

const referenceTo = ({ sopClassUid, sopInstanceUid }: TestObject): InstanceReference => ({
  sopClassUid,
  sopInstanceUid,
});
const objects = [1, 2, 3].map((n) => ctObject({ study: '1.2.5', instance: `1.2.5.1.${n}` }));
const fast = { COMMITMENT_SAME_ASSOCIATION_MS: '50', COMMITMENT_PAUSE_MAX_MS: '40' };

const pendingFiles = async (edge: TestEdge): Promise<string[]> =>
  (await edge.files()).filter((file) => file.startsWith('commitments/'));

describe('storage commitment', () => {
  it('[Q13] is reported on the association that asked, when the peer keeps it open', async (t) => {
    const edge = await startTestEdge(t, { settings: fast });
    await edge.station({ aeTitle: 'CT1', port: await freePort() });
    await storeAll(edge, objects);
    const reports = takeReports();
    const association = await associate(edge, reports);
    assert.equal(await ask(association, '1.2.99.1', objects.map(referenceTo)), 0);
    await eventually('the report', () => reports.came.length === 1);
    assert.deepEqual(reports.came[0], {
      transactionUid: '1.2.99.1',
      eventTypeId: 1,
      committed: objects.map(referenceTo),
      failed: [],
    });
    await eventually('nothing is pending', async () => (await pendingFiles(edge)).length === 0);
    await association.release();
  });

  it('is reported on a new association when the peer has released its own, or when that is set', async (t) => {
    for (const [same, keepsOpen] of [
      ['50', false],
      ['0', true],
    ] as const) {
      const settings = { ...fast, COMMITMENT_SAME_ASSOCIATION_MS: same };
      const edge = await startTestEdge(t, { settings });
      const [there, here] = [takeReports(), takeReports()];
      await edge.station({ aeTitle: 'CT1', port: await startModality(t, there) });
      await storeAll(edge, objects);
      const association = await associate(edge, here);
      assert.equal(await ask(association, '1.2.99.2', objects.map(referenceTo)), 0);
      if (!keepsOpen) await association.release();
      await eventually('the report', () => there.came.length === 1);
      assert.equal(there.came[0]?.committed.length, 3);
      assert.deepEqual(here.came, []);
      await association.release();
    }
  });

  it('[Q13] vouches only for what is on disk, of that class, and in the log', async (t) => {
    const edge = await startTestEdge(t, { settings: fast });
    const reports = takeReports();
    await edge.station({ aeTitle: 'CT1', port: await startModality(t, reports) });
    const gone = ctObject({ study: '1.2.5', instance: '1.2.5.1.8' });
    await storeAll(edge, [...objects, gone]);
    await rm(join(edge.directory, fileOf(gone.sopInstanceUid)));
    // As after a crash between the file and its event: nobody was told that it is here.
    const silent = ctObject({ study: '1.2.6', instance: '1.2.6.1.1' });
    await writeFile(join(edge.directory, fileOf(silent.sopInstanceUid)), fileBytes(silent));

    const association = await associate(edge);
    const [first, second] = objects.map(referenceTo) as [InstanceReference, InstanceReference];
    const otherClass = { ...second, sopClassUid: uids.MRImageStorage };
    const never = { sopClassUid: uids.CTImageStorage, sopInstanceUid: '1.2.5.1.99' };
    const asked = [first, otherClass, never, referenceTo(gone), referenceTo(silent)];
    assert.equal(await ask(association, '1.2.99.3', asked), 0);
    await association.release();
    await eventually('the report', () => reports.came.length === 1);
    assert.deepEqual(reports.came[0]?.committed, [first]);
    assert.equal(reports.came[0]?.eventTypeId, 2);
    assert.deepEqual(
      reports.came[0]?.failed.map(({ sopInstanceUid, reason }) => `${sopInstanceUid} ${reason.toString(16)}`),
      ['1.2.5.1.2 119', '1.2.5.1.99 112', '1.2.5.1.8 112', '1.2.6.1.1 112'],
    );
  });

  it('refuses what it cannot report on, and says why', async (t) => {
    const edge = await startTestEdge(t, { settings: { ...fast, COMMITMENTS_PENDING_MAX: '1' } });
    await edge.station({ aeTitle: 'CT1', port: await freePort() });
    const association = await associate(edge);
    const some = objects.map(referenceTo);
    assert.equal(await ask(association, '1.2.99.4', []), 0x0115);
    assert.equal(await ask(association, '1..2', some), 0x0115);
    assert.equal(await ask(association, '1.2.99.4', some, { actionTypeId: 2 }), 0x0123);
    assert.equal(await ask(association, '1.2.99.4', some, { sopInstanceUid: '1.2.3' }), 0x0112);
    const noDataSet = { sopClassUid: commitment, sopInstanceUid: instance, actionTypeId: 1 };
    assert.equal((await association.nAction(noDataSet)).status, 0x0115);
    const garbage = Buffer.from('ffffffffffff', 'hex');
    assert.equal((await association.nAction({ ...noDataSet, dataSet: garbage })).status, 0x0115);
    const another = await associate(edge);
    const [once, twice] = [ask(association, '1.2.99.4', some), ask(another, '1.2.99.4', some)];
    assert.deepEqual([await once, await twice], [0, 0], 'the same is the same, at once');
    assert.equal(await ask(association, '1.2.99.4', some), 0, 'and later');
    await another.release();
    assert.equal(await ask(association, '1.2.99.5', some), 0x0213);
    await association.release();
    await assert.rejects(
      requestAssociation({
        host: '127.0.0.1',
        port: edge.edge.dicomPort,
        calledAeTitle: edge.aeTitle,
        callingAeTitle: 'STRANGER',
        contexts,
      }).then((one) => ask(one, '1.2.99.6', some).finally(() => one.release())),
      { code: 'DIMSE_NO_PRESENTATION_CONTEXT' },
    );
  });
});

describe('a pending report', () => {
  it('[Q1] survives a restart, and the death of its process', async (t) => {
    const edge = await startTestEdge(t, { settings: fast });
    const port = await freePort();
    await edge.station({ aeTitle: 'CT1', port });
    await storeAll(edge, objects);
    const association = await associate(edge);
    assert.equal(await ask(association, '1.2.99.7', objects.map(referenceTo)), 0);
    await association.release();
    await edge.restart();
    // A process that died leaves its directory behind.
    const [own] = await readdir(join(edge.directory, 'commitments')).then((names) =>
      names.filter((name) => name !== 'undelivered'),
    );
    const dead = join(edge.directory, 'commitments', '00000000-0000-4000-8000-000000000000');
    await mkdir(dead);
    const other = {
      aeTitle: 'CT1',
      transactionUid: '1.2.99.8',
      instances: objects.map(referenceTo),
      receivedAt: '',
    };
    await writeFile(join(dead, `${'a'.repeat(64)}.json`), JSON.stringify(other));
    await writeFile(join(dead, `${'b'.repeat(64)}.json`), 'cut off');
    assert.ok(own);
    await edge.restart();

    const reports = takeReports();
    await startModality(t, reports, port);
    await eventually('both reports', () => reports.came.length === 2);
    assert.deepEqual(reports.came.map((one) => one.transactionUid).sort(), ['1.2.99.7', '1.2.99.8']);
    await eventually('nothing is pending', async () => (await pendingFiles(edge)).length === 1);
    assert.deepEqual(await pendingFiles(edge), [`commitments/undelivered/${'b'.repeat(64)}.json`]);
  });

  it('is sent again while the peer refuses it, and kept aside when the tries are used up', async (t) => {
    const edge = await startTestEdge(t, { settings: { ...fast, COMMITMENT_TRIES_MAX: '3' } });
    const reports = takeReports();
    reports.answer = 0x0110;
    await edge.station({ aeTitle: 'CT1', port: await startModality(t, reports) });
    await storeAll(edge, objects);
    const association = await associate(edge);
    assert.equal(await ask(association, '1.2.99.9', objects.map(referenceTo)), 0);
    await association.release();
    await eventually('it is given up', async () =>
      (await pendingFiles(edge)).some((file) => file.startsWith('commitments/undelivered/')),
    );
    assert.equal(reports.came.length, 3);

    const path = `${edge.edge.address}/api/v1/storage-commitments`;
    const { items } = (await (await fetch(path)).json()) as { items: { id: string; state: string }[] };
    assert.deepEqual(
      items.map(({ id: _hash, receivedAt: _now, ...rest }: { id: string; receivedAt?: string }) => rest),
      [{ aeTitle: 'CT1', transactionUid: '1.2.99.9', instances: 3, state: 'UNDELIVERED' }],
    );
    reports.answer = 0;
    const retry = (id = '0'.repeat(64)) => fetch(`${path}/${id}:retry`, { method: 'POST' });
    assert.equal((await retry()).status, 404);
    assert.equal((await retry(items[0]?.id)).status, 202);
    await eventually('it is delivered', async () => (await pendingFiles(edge)).length === 0);
    assert.equal(reports.came.length, 4);
  });
});

describe('dimse.commit', () => {
  it('asks a station, and brings its report back', async (t) => {
    const [north, south] = await Promise.all([
      startTestEdge(t, { settings: fast }),
      startTestEdge(t, { cluster: 'south', settings: { ...fast, COMMITMENT_SAME_ASSOCIATION_MS: '0' } }),
    ]);
    await linkEdges(north, south);
    await storeAll(south, objects.slice(0, 2));
    await storeAll(north, objects);
    const commit = (edge: TestEdge, request: Partial<CommitRequest>): Promise<CommitAnswer> =>
      edge.eventLog.requests.ask(
        requestSubjects.commit,
        { aeTitle: 'SOUTH', instances: objects.map(referenceTo), timeoutMs: 10_000, ...request },
        { timeoutMs: 20_000 },
      );
    const fromSouth = await commit(north, {});
    assert.equal(fromSouth.outcome, 'reported', 'on an association that south opens');
    assert.deepEqual(fromSouth.committed, objects.slice(0, 2).map(referenceTo));
    assert.deepEqual(fromSouth.failed, [{ ...referenceTo(objects[2]!), reason: 0x0112 }]);
    const fromNorth = await commit(south, { aeTitle: 'NORTH' });
    assert.equal(fromNorth.outcome, 'reported', 'on the same association');
    assert.equal(fromNorth.committed.length, 3);
    const another = await north.another();
    await south.station({ aeTitle: 'NORTH', port: another.dicomPort, kind: 'cluster', cluster: 'north' });
    // Either process may be the one that asks; the reports come to the other one.
    const all = await Promise.all(Array.from({ length: 8 }, () => commit(north, {})));
    assert.deepEqual([...new Set(all.map(({ outcome }) => outcome))], ['reported']);
    const refused = await commit(north, { instances: [] });
    assert.deepEqual([refused.outcome, refused.status], ['refused', 0x0115]);
    await south.station({ aeTitle: 'NORTH', port: await freePort(), kind: 'cluster', cluster: 'north' });
    const silent = await commit(north, { timeoutMs: 200 });
    assert.equal(silent.outcome, 'no-report');
  });

  it('takes no report that was not asked for', async (t) => {
    const edge = await startTestEdge(t);
    await edge.station({ aeTitle: 'CT1', port: 104 });
    const association = await requestAssociation({
      host: '127.0.0.1',
      port: edge.edge.dicomPort,
      calledAeTitle: edge.aeTitle,
      callingAeTitle: 'CT1',
      contexts: contexts.map((context) => ({ ...context, role: 'scp' as const })),
    });
    const report = { sopClassUid: commitment, sopInstanceUid: instance, eventTypeId: 1 };
    const dataSet = actionInformation({ transactionUid: '1.2.99', instances: objects.map(referenceTo) });
    assert.equal((await association.nEventReport({ ...report, dataSet })).status, 0x0110);
    assert.equal((await association.nEventReport(report)).status, 0x0115);
    await association.release();
  });
});

describe('instance availability', () => {
  it('is taken from a station, and told to one', async (t) => {
    const [north, south] = await Promise.all([startTestEdge(t), startTestEdge(t, { cluster: 'south' })]);
    await linkEdges(north, south);
    const notification: NotifyRequest = {
      aeTitle: 'SOUTH',
      studyInstanceUid: '1.2.5',
      series: [
        {
          seriesInstanceUid: '1.2.5.1',
          instances: objects.map((one) => ({ ...referenceTo(one), availability: 'ONLINE' as const })),
        },
      ],
      timeoutMs: 5_000,
    };
    const notify = (change: Partial<NotifyRequest> = {}): Promise<NotifyAnswer> =>
      north.eventLog.requests.ask(
        requestSubjects.notify,
        { ...notification, ...change },
        { timeoutMs: 10_000 },
      );
    assert.deepEqual(await notify(), { status: 0 });
    assert.equal((await notify({ studyInstanceUid: '1..2' })).status, 0x0106);
  });

  it('gets a SOP Instance UID when it brings none, and is refused without a study', async (t) => {
    const edge = await startTestEdge(t);
    await edge.station({ aeTitle: 'CT1', port: 104 });
    const sopClassUid = uids.InstanceAvailabilityNotification;
    const association = await requestAssociation({
      host: '127.0.0.1',
      port: edge.edge.dicomPort,
      calledAeTitle: edge.aeTitle,
      callingAeTitle: 'CT1',
      contexts: [{ sopClassUid, transferSyntaxUids: [uids.ExplicitVrLittleEndian] }],
    });
    const study = { '0020000D': { vr: 'UI' as const, Value: ['1.2.5'] } };
    const created = await association.nCreate({ sopClassUid, dataSet: study });
    assert.equal(created.status, 0);
    assert.match(created.sopInstanceUid ?? '', /^2\.25\.\d+$/);
    const none = await association.nCreate({ sopClassUid, dataSet: { '00081115': { vr: 'SQ' } } });
    assert.equal(none.status, 0x0120);
    await association.release();
  });
});

/** The bytes of a file of the object store. */
function fileBytes(object: TestObject): Buffer {
  const { sopClassUid, sopInstanceUid, transferSyntaxUid, dataSet } = object;
  const meta = { sopClassUid, sopInstanceUid, transferSyntaxUid, sourceAeTitle: 'CT1' };
  return Buffer.concat([fileMetaInformation(meta), dataSet]);
}
