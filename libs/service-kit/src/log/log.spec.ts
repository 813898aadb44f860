import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../index.ts';

describe('log', () => {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLog({ service: 'update-relay', cluster: 'north', level: 'info', destination });
  const last = (): Record<string, unknown> => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown>;

  it('writes JSON with service, cluster and an ISO time', () => {
    log.info({ studyInstanceUid: '1.2.3' }, 'stored');
    const { level, service, cluster, studyInstanceUid, msg, time } = last();
    assert.deepEqual(
      { level, service, cluster, studyInstanceUid, msg },
      { level: 'info', service: 'update-relay', cluster: 'north', studyInstanceUid: '1.2.3', msg: 'stored' },
    );
    assert.match(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
  });

  it('cuts patient data and secrets out of known fields', () => {
    log.info(
      { patient: { name: 'DOE^JANE' }, study: { patientName: 'DOE^JANE' }, authorization: 'Bearer DOE' },
      'x',
    );
    assert.doesNotMatch(lines.at(-1) ?? '', /DOE/);
  });

  it('tells of an error its class, code, remedy and cause, not the values that PostgreSQL quotes', () => {
    const cause = Object.assign(new Error('invalid input syntax for type date: "DOE^JANE"'), {
      severity: 'ERROR',
      code: '22007',
      detail: 'Key (name)=(DOE^JANE) already exists',
    });
    log.error({ err: Object.assign(new Error('failed', { cause }), { code: 'X', remedy: 'Do.' }) }, 'x');
    assert.doesNotMatch(lines.at(-1) ?? '', /DOE/);
    const err = last()['err'] as { code: string; remedy: string; cause: { code: string } };
    assert.deepEqual([err.code, err.remedy, err.cause.code], ['X', 'Do.', '22007']);
  });
});
