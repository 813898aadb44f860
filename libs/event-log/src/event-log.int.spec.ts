import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';

import { natsBinariesHere, testNats } from '@isthmus/testing';

import type { LogUnderTest } from '../test/bench.ts';
import { testEventLog } from '../test/contract.ts';
import { isAtLeast } from './capabilities.ts';
import { connectEventLog } from './index.ts';
import type { EventLog } from './index.ts';

const silent = { info() {}, warn() {}, error() {} };
const here = natsBinariesHere();

function natsLog(binary: string) {
  return async (t: TestContext): Promise<LogUnderTest> => {
    const logs: EventLog[] = [];
    // Hooks run in order: connections close before the server stops.
    t.after(() => Promise.all(logs.map((log) => log.close())));
    const nats = await testNats(t, { natsBinary: binary });
    return {
      async connect(options = {}) {
        const log = await connectEventLog({
          servers: nats.url,
          cluster: 'north',
          service: 'test',
          log: silent,
          ...options,
        });
        logs.push(log);
        return log;
      },
      kill: () => nats.kill(),
      restart: () => nats.restart(),
      wipe: () => fs.promises.rm(path.join(nats.dataDir, 'jetstream'), { recursive: true }),
    };
  };
}

for (const server of here) testEventLog(`nats-server ${server.version}`, natsLog(server.path));

if (!here.some((server) => !isAtLeast(server.version, 2, 10))) {
  test('event log on nats-server 2.9', { skip: 'there is no nats-server 2.9 on this machine' });
}
if (!here.some((server) => isAtLeast(server.version, 2, 12))) {
  test('event log on nats-server 2.12 or later', {
    skip: 'there is none on this machine, nor in .isthmus/bin',
  });
}
