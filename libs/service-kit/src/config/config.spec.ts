import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { choice, ConfigError, flag, integer, readConfig, text, url } from '../index.ts';

const schema = {
  HTTP_PORT: integer({ default: 0, min: 0, max: 65535, about: 'Port' }),
  QUIET_MS: integer({ min: 1, max: 10, unit: 'ms', about: 'Pause' }),
  ADMISSION: choice(['stations', 'open-loopback'], { default: 'stations', about: 'Who may come in' }),
  FSYNC: flag({ default: true, about: 'Durable' }),
  DATABASE_URL: url({ schemes: ['postgres'], about: 'Database' }),
  CLUSTER_FILE: text({ optional: true, about: 'Seed' }),
};
const good = { QUIET_MS: '5', DATABASE_URL: 'postgres://u:secret@h/d' };

describe('configuration of a service', () => {
  it('gives typed values and defaults; an empty value counts as absent', () => {
    assert.deepEqual(readConfig(schema, { ...good, HTTP_PORT: '8080', FSYNC: 'false', CLUSTER_FILE: '' }), {
      HTTP_PORT: 8080,
      QUIET_MS: 5,
      ADMISSION: 'stations',
      FSYNC: false,
      DATABASE_URL: 'postgres://u:secret@h/d',
      CLUSTER_FILE: undefined,
    });
  });

  it('names every setting that is wrong at once, with its value, its bounds and its unit', () => {
    const bad = {
      HTTP_PORT: '99999',
      QUIET_MS: '0',
      ADMISSION: 'all',
      FSYNC: 'yes',
      DATABASE_URL: 'postgres://h/d',
    };
    assert.throws(
      () => readConfig(schema, bad),
      (error: ConfigError) => {
        assert.equal(error.code, 'config-invalid');
        assert.deepEqual(error.problems, [
          'HTTP_PORT: "99999" is not a whole number from 0 to 65535',
          'QUIET_MS: "0" is not a whole number from 1 to 10 (ms)',
          'ADMISSION: "all" is not one of stations, open-loopback',
          'FSYNC: "yes" is not true or false',
        ]);
        return true;
      },
    );
  });

  it('says what a missing setting is for', () => {
    assert.throws(() => readConfig(schema, { QUIET_MS: '1' }), /DATABASE_URL is not set\. It is: Database/);
  });

  it('never shows a secret', () => {
    const env = { ...good, DATABASE_URL: 'mysql://u:secret@h/d' };
    assert.throws(
      () => readConfig(schema, env),
      (error: ConfigError) => !error.message.includes('secret'),
    );
  });

  it('takes no number that only begins like one', () => {
    for (const bad of ['5x', '5.5', '1e1', ' 5', '0x5']) {
      assert.throws(() => readConfig(schema, { ...good, QUIET_MS: bad }), ConfigError, bad);
    }
  });
});
