import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { element, encodeDataSet, tags, uids } from '@isthmus/dicom';
import { requestAssociation } from '@isthmus/dimse';
import { eventually } from '@isthmus/testing';
import {
  callAs,
  eventOf,
  fetchStudy,
  linkedQuery,
  sendUpdate,
  startAnnexPeer,
} from './reference/annex-peer.ts';
import type { AnnexPeer } from './reference/annex-peer.ts';
import { startOneCluster } from './reference/one-cluster.ts';
import type { OneCluster } from './reference/one-cluster.ts';

const west = { cluster: 'west', aeTitle: 'WEST', peer: 'reference' };
const study = '2.25.7001';
const object = '2.25.7003';

async function put(cluster: OneCluster, path: string, body: object): Promise<void> {
  const answer = await fetch(`${cluster.consoleUrl}/api/v1/${path}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  assert.ok(answer.ok, `${path}: ${answer.status}`);
}

/** A cluster with one study of one object, linked with a peer of another make. */
async function linked(): Promise<{ cluster: OneCluster; peer: AnnexPeer; stop(): Promise<void> }> {
  const [cluster, peer] = await Promise.all([startOneCluster('reference'), startAnnexPeer(west)]);
  const stop = async (): Promise<void> => {
    await peer.stop();
    await cluster.stop();
  };
  try {
    const both = { in: true, out: true };
    const none = { in: false, out: false };
    await put(cluster, 'stations/MODALITY', {
      aeTitle: 'MODALITY',
      host: '127.0.0.1',
      port: 104,
      kind: 'modality',
    });
    await put(cluster, 'stations/WEST', {
      aeTitle: 'WEST',
      host: '127.0.0.1',
      port: peer.port,
      kind: 'cluster',
      cluster: 'west',
    });
    await put(cluster, 'links/west', {
      enabled: true,
      internalQueries: both,
      externalQueries: none,
      updates: both,
      prefetching: none,
    });
    await store(cluster);
    return { cluster, peer, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function store(cluster: OneCluster): Promise<void> {
  const transferSyntaxUid = uids.ExplicitVrLittleEndian;
  const sopClassUid = uids.SecondaryCaptureImageStorage;
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: cluster.dicomPort,
    callingAeTitle: 'MODALITY',
    calledAeTitle: 'REFERENCE',
    contexts: [{ sopClassUid, transferSyntaxUids: [transferSyntaxUid] }],
  });
  const dataSet = encodeDataSet(
    {
      [tags.SOPClassUID]: element('UI', sopClassUid),
      [tags.SOPInstanceUID]: element('UI', object),
      [tags.AccessionNumber]: element('SH', 'A-7'),
      [tags.Modality]: element('CS', 'OT'),
      [tags.PatientName]: element('PN', { Alphabetic: 'Invented^Person' }),
      [tags.PatientID]: element('LO', 'P-7'),
      [tags.StudyInstanceUID]: element('UI', study),
      [tags.SeriesInstanceUID]: element('UI', '2.25.7002'),
    },
    transferSyntaxUid,
  );
  const { status } = await association.cStore({
    sopClassUid,
    sopInstanceUid: object,
    transferSyntaxUid,
    dataSet,
  });
  await association.release();
  assert.equal(status, 0);
}

describe('a cluster of another make, written from Annex B alone', () => {
  it('[L5] hears of a study, becomes a holder, gets its state and objects, and changes its report', async (test) => {
    const { cluster, peer, stop } = await linked();
    test.after(stop);

    const items = (): readonly { readonly [member: string]: unknown }[] =>
      peer.batches.flatMap((one) => one.items);
    const isOf = (item: { readonly [member: string]: unknown }, type: string): boolean => {
      const event = item['event'] as { readonly type?: string; readonly subject?: string } | undefined;
      return event?.type === type && event.subject === study;
    };
    await eventually('the holder is announced', async () =>
      items().some((item) => isOf(item, 'HolderChanged')),
    );
    assert.ok(peer.linkStates.length > 0, 'updates come only after Link State was answered');
    assert.equal(peer.linkStates[0]?.['cluster'], 'reference');

    const association = await callAs(west, cluster.dicomPort, 'REFERENCE');
    test.after(() => association.release().catch(() => undefined));
    const holding = { holds: true, complete: true, instanceCount: 1, scope: 'full', availability: 'ONLINE' };
    const holder = eventOf(west, 'HolderChanged', study, (stamped) => ({
      holders: { t: 'map', entries: { west: stamped(holding, 1) } },
    }));
    assert.equal(await sendUpdate(association, west, [holder]), 0);
    assert.equal(await sendUpdate(association, west, [holder]), 0, 'a repeat is success');

    const state = await eventually('the state comes', async () =>
      items().find((item) => item['kind'] === 'state'),
    );
    const registers = state['registers'] as { readonly patient?: { readonly value?: unknown } };
    assert.equal((registers.patient?.value as { id?: string }).id, 'P-7');
    await eventually('the manifest comes', async () => items().some((item) => item['kind'] === 'manifest'));
    assert.equal(await fetchStudy(association, west, study), 0);
    assert.deepEqual(peer.objects, [object]);

    const report = { status: 'DICTATED', subStatus: '', by: 'Dr West', at: '', reportId: 'R-7', url: '' };
    const reported = eventOf(west, 'ReportStatusChanged', study, (stamped) => ({
      reports: { t: 'map', entries: { 'A-7': { t: 'map', entries: { '1.base': stamped(report, 2) } } } },
      ofALaterVersion: { t: 'novel', anything: [1, 2, 3] },
    }));
    assert.equal(await sendUpdate(association, west, [reported]), 0);
    const rows = await eventually('the linked query tells the report', async () => {
      const answer = await linkedQuery(association, study);
      const [row] = answer.rows;
      return row?.['00731001']?.Value?.[0] === 'DICTATED' && answer;
    });
    const outcomes = rows.outcomes?.['00731030']?.Value as
      readonly { readonly [tag: string]: { readonly Value?: readonly unknown[] } }[] | undefined;
    assert.deepEqual(
      outcomes?.map((item) => item['00731031']?.Value?.[0]),
      ['ANSWERED'],
    );
  });

  it('[L5] is told by the status word what it did wrong', async (test) => {
    const { cluster, stop } = await linked();
    test.after(stop);
    const association = await callAs(west, cluster.dicomPort, 'REFERENCE');
    test.after(() => association.release().catch(() => undefined));
    assert.equal(await sendUpdate(association, west, [{ kind: 'novel' }]), 0xa900);
    assert.equal(await sendUpdate(association, { ...west, cluster: 'east' }, []), 0x0124);
    const link = { enabled: false, internalQueries: { in: true, out: true } };
    const present = await fetch(`${cluster.consoleUrl}/api/v1/links/west`);
    const value = { ...((await present.json()) as object), ...link };
    const {
      peer: _peer,
      version: _version,
      warnings: _warnings,
      ...body
    } = value as { [name: string]: unknown };
    const answer = await fetch(`${cluster.consoleUrl}/api/v1/links/west`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', 'if-match': present.headers.get('etag') ?? '' },
      body: JSON.stringify(body),
    });
    assert.ok(answer.ok, String(answer.status));
    await eventually('the link is off', async () => (await sendUpdate(association, west, [])) === 0xc104);
  });
});
