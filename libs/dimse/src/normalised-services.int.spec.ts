import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeDataSet, encodeDataSet, stringOf } from '@isthmus/dicom';
import { eventually } from '@isthmus/testing';
import { associate, ctStorage, explicitLittle, startAcceptor } from '../test/acceptor-under-test.ts';
import { commandPdu, dataPdu, pdv, scriptedAcceptor, scriptedRequestor } from '../test/scripted-peer.ts';
import type {
  AdmitRequest,
  AdmitResult,
  AssociationHandlers,
  NEventReportRequest,
  NOutcome,
} from './index.ts';

const storageCommitment = '1.2.840.10008.1.20.1';
const storageCommitmentInstance = '1.2.840.10008.1.20.1.1';
const availability = '1.2.840.10008.5.1.4.33';
const transaction = { '00081195': { vr: 'UI', Value: ['1.2.3.4'] } };

const admit = (request: AdmitRequest): AdmitResult => ({
  accept: true,
  contexts: request.contexts.map(({ id }) => ({ id, transferSyntaxUid: explicitLittle })),
  roles: request.roles,
});
const contextOf = (sopClassUid: string, role?: 'scp') => ({
  sopClassUid,
  transferSyntaxUids: [explicitLittle],
  role,
});
const transactionOf = (bytes: Buffer | undefined): string | undefined =>
  bytes && stringOf(decodeDataSet(bytes, explicitLittle), '00081195');

describe('DIMSE-N services', () => {
  it('storage commitment is asked for, and reported on the same association', async (t) => {
    const reported = Promise.withResolvers<NOutcome>();
    const { port } = await startAcceptor(t, {
      admit,
      handlers: {
        nAction: async (request) => {
          assert.deepEqual(
            [request.sopClassUid, request.sopInstanceUid, request.actionTypeId],
            [storageCommitment, storageCommitmentInstance, 1],
          );
          assert.equal(transactionOf(request.dataSet), '1.2.3.4');
          // After the answer, as an archive does that has to look first.
          setImmediate(() => {
            const report = { sopClassUid: storageCommitment, sopInstanceUid: storageCommitmentInstance };
            request
              .nEventReport({ ...report, eventTypeId: 1, dataSet: transaction })
              .then(reported.resolve, reported.reject);
          });
          return { status: 0 };
        },
      },
    });
    const reports: NEventReportRequest[] = [];
    const association = await associate(t, port, {
      contexts: [contextOf(storageCommitment)],
      handlers: {
        nEventReport: async (report) => {
          reports.push(report);
          return { status: 0 };
        },
      },
    });
    const outcome = await association.nAction({
      sopClassUid: storageCommitment,
      sopInstanceUid: storageCommitmentInstance,
      actionTypeId: 1,
      dataSet: transaction,
    });
    assert.deepEqual([outcome.status, outcome.sopInstanceUid], [0, storageCommitmentInstance]);
    assert.equal((await reported.promise).status, 0);
    assert.deepEqual([reports[0]?.eventTypeId, transactionOf(reports[0]?.dataSet)], [1, '1.2.3.4']);
    await association.release();
  });

  it('storage commitment is reported on another association, under the role of SCP', async (t) => {
    const reports: string[] = [];
    const { port } = await startAcceptor(t, {
      admit,
      handlers: {
        nEventReport: async ({ sopInstanceUid, eventTypeId, dataSet }) => {
          reports.push(`${sopInstanceUid} ${eventTypeId} ${transactionOf(dataSet)}`);
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port, { contexts: [contextOf(storageCommitment, 'scp')] });
    assert.deepEqual(association.roleFor(storageCommitment), { scu: false, scp: true });
    const outcome = await association.nEventReport({
      sopClassUid: storageCommitment,
      sopInstanceUid: storageCommitmentInstance,
      eventTypeId: 2,
      dataSet: encodeDataSet(transaction, explicitLittle),
    });
    assert.equal(outcome.status, 0);
    assert.deepEqual(reports, [`${storageCommitmentInstance} 2 1.2.3.4`]);
  });

  it('creates with our UID and with one of the peer, sets, gets, deletes', async (t) => {
    const seen: unknown[] = [];
    const handlers: AssociationHandlers = {
      nCreate: async ({ sopInstanceUid, dataSet }) => {
        seen.push(['create', sopInstanceUid, transactionOf(dataSet)]);
        return { status: 0, ...(sopInstanceUid === undefined && { sopInstanceUid: '1.9' }) };
      },
      nSet: async ({ sopInstanceUid, dataSet }) => {
        seen.push(['set', sopInstanceUid, transactionOf(dataSet)]);
        return { status: 0x0107 };
      },
      nGet: async ({ sopInstanceUid, attributeTags, transferSyntaxUid }) => {
        seen.push(['get', sopInstanceUid, attributeTags]);
        return { status: 0, dataSet: encodeDataSet(transaction, transferSyntaxUid) };
      },
      nDelete: async ({ sopInstanceUid }) => {
        seen.push(['delete', sopInstanceUid]);
        return { status: 0x0112, errorComment: 'no such instance' };
      },
    };
    const { port } = await startAcceptor(t, { admit, handlers });
    const association = await associate(t, port, { contexts: [contextOf(availability)] });
    const sopClassUid = availability;
    const own = await association.nCreate({ sopClassUid, sopInstanceUid: '1.2', dataSet: transaction });
    assert.deepEqual([own.status, own.sopInstanceUid], [0, '1.2']);
    const theirs = await association.nCreate({ sopClassUid, dataSet: transaction });
    assert.deepEqual([theirs.status, theirs.sopInstanceUid], [0, '1.9']);
    const set = await association.nSet({ sopClassUid, sopInstanceUid: '1.2', dataSet: transaction });
    assert.equal(set.status, 0x0107);
    const attributeTags = ['00081195', '7FE00010'];
    const got = await association.nGet({ sopClassUid, sopInstanceUid: '1.2', attributeTags });
    assert.equal(transactionOf(got.dataSet), '1.2.3.4');
    const gone = await association.nDelete({ sopClassUid, sopInstanceUid: '1.2' });
    assert.deepEqual([gone.status, gone.errorComment], [0x0112, 'no such instance']);
    assert.deepEqual(seen, [
      ['create', '1.2', '1.2.3.4'],
      ['create', undefined, '1.2.3.4'],
      ['set', '1.2', '1.2.3.4'],
      ['get', '1.2', attributeTags],
      ['delete', '1.2'],
    ]);
  });

  it('what is not served, of another class, without UID, or thrown, becomes a status', async (t) => {
    const { port, events } = await startAcceptor(t, {
      admit,
      handlers: { nAction: () => Promise.reject(new Error('no such table')) },
    });
    const peer = await scriptedRequestor(t, port);
    await peer.associate();
    const command = { commandField: 0x0130, hasDataSet: true, messageId: 1, actionTypeId: 1 };
    for (const [name, fields, status] of [
      ['thrown', { requestedSopClassUid: ctStorage, requestedSopInstanceUid: '1.2' }, 0xc000],
      ['other class', { requestedSopClassUid: storageCommitment, requestedSopInstanceUid: '1.2' }, 0x0122],
      ['no UID', { requestedSopClassUid: ctStorage }, 0x0117],
      ['not served', { commandField: 0x0120, requestedSopClassUid: ctStorage }, 0x0211],
    ] as const) {
      peer.send(commandPdu(3, { ...command, ...fields }), dataPdu(pdv(3, 2, Buffer.alloc(8))));
      const answer = await peer.receiveCommand();
      assert.deepEqual([answer.status, answer.hasDataSet], [status, false], name);
    }
    assert.deepEqual(
      events.flatMap((event) => (event.type === 'handler-failed' ? [event.service] : [])),
      ['N-ACTION'],
    );
  });

  it('a report that nobody answers ends the association, and the call with it', async (t) => {
    const outcome = Promise.withResolvers<NOutcome>();
    outcome.promise.catch(() => undefined);
    const { port, acceptor } = await startAcceptor(t, {
      admit,
      limits: { responseMs: 50, abortLingerMs: 20 },
      handlers: {
        nAction: async (request) => {
          const report = { sopClassUid: storageCommitment, sopInstanceUid: '1.2', eventTypeId: 1 };
          setImmediate(() => request.nEventReport(report).then(outcome.resolve, outcome.reject));
          return { status: 0 };
        },
      },
    });
    const association = await associate(t, port, {
      contexts: [contextOf(storageCommitment)],
      handlers: { nEventReport: () => new Promise<never>(() => undefined) },
    });
    await association.nAction({ sopClassUid: storageCommitment, sopInstanceUid: '1.2', actionTypeId: 1 });
    await assert.rejects(outcome.promise, { code: 'DIMSE_RESPONSE_TIMEOUT' });
    await eventually('the end of the connection', () => acceptor.connections === 0);
  });

  it('a request where none is due is against the protocol', async (t) => {
    const answered = Promise.withResolvers<number>();
    const { port } = await scriptedAcceptor(t, async (peer) => {
      await peer.accept();
      peer.send(
        commandPdu(1, {
          commandField: 0x0100,
          hasDataSet: false,
          messageId: 1,
          affectedSopClassUid: storageCommitment,
          affectedSopInstanceUid: '1.2',
          eventTypeId: 1,
        }),
      );
      const answer = await peer.receive();
      answered.resolve(answer === 'closed' ? 0 : answer.type);
    });
    await associate(t, port, { contexts: [contextOf(storageCommitment)] });
    assert.equal(await answered.promise, 7);
  });
});
