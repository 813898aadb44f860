import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { uids } from '@isthmus/dicom';
import { eventually, openRawAssociation, openRawConnection } from '@isthmus/testing';
import type { TestContextLike } from '@isthmus/testing';
import { startTestEdge } from '../test/start-edge.ts';
import type { TestEdge } from '../test/start-edge.ts';

function edgeWith(test: TestContextLike, settings: { readonly [name: string]: string }): Promise<TestEdge> {
  return startTestEdge(test, { settings });
}

function call({ edge, aeTitle }: TestEdge, callingAeTitle: string) {
  return openRawAssociation({
    port: edge.dicomPort,
    calledAeTitle: aeTitle,
    callingAeTitle,
    abstractSyntax: uids.VerificationSopClass,
    transferSyntax: uids.ImplicitVrLittleEndian,
  });
}

describe('associations of one address', () => {
  it('[Q13] leave room for others: strangers have fewer places than stations, stations fewer than all', async (t) => {
    const edge = await edgeWith(t, {
      ASSOCIATIONS_MAX: '8',
      ASSOCIATIONS_PER_ADDRESS_MAX: '4',
      ASSOCIATIONS_UNKNOWN_PER_ADDRESS_MAX: '2',
    });
    await edge.station({ aeTitle: 'CT1', port: 104 });
    const stations = [await call(edge, 'CT1'), await call(edge, 'CT1')];
    const strangers = [await call(edge, 'STRANGER1'), await call(edge, 'STRANGER2')];
    assert.deepEqual(
      [...stations, ...strangers].map(({ accepted }) => accepted),
      [true, true, true, true],
    );
    assert.equal((await call(edge, 'STRANGER3')).accepted, false);
    await strangers[0]?.release();
    await strangers[1]?.release();
    await eventually('a station takes a third place', async () => (await call(edge, 'CT1')).accepted);
    await eventually('and the fourth', async () => (await call(edge, 'CT1')).accepted);
    assert.equal((await call(edge, 'CT1')).accepted, false);
  });

  it('[Q13] are bounded by calling AE title, too', async (t) => {
    const edge = await edgeWith(t, { ASSOCIATIONS_PER_AE_TITLE_MAX: '1' });
    assert.equal((await call(edge, 'CT1')).accepted, true);
    assert.equal((await call(edge, 'CT1')).accepted, false);
    assert.equal((await call(edge, 'CT2')).accepted, true);
  });
});

describe('deadlines of a peer', () => {
  it('[Q13] hold as they are set: a silent connection, an idle association, a message that stops', async (t) => {
    const edge = await edgeWith(t, {
      FIRST_PDU_TIMEOUT_MS: '100',
      ASSOCIATION_IDLE_TIMEOUT_MS: '150',
      BETWEEN_PDUS_TIMEOUT_MS: '200',
    });
    const silent = await openRawConnection(edge.edge.dicomPort);
    assert.equal((await silent.nextPdu())?.[0], 7);
    const idle = await call(edge, 'CT1');
    assert.equal((await idle.nextPdu())?.[0], 7);
    const stopped = await call(edge, 'CT1');
    stopped.write(Buffer.from([4, 0, 0, 0, 1, 0]));
    assert.equal((await stopped.nextPdu())?.[0], 7);
  });
});
