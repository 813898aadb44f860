import { describe } from 'node:test';

import type { LogFactory } from './bench.ts';
import { testAppends } from './contract-append.ts';
import { testFaults } from './contract-faults.ts';
import { testReads } from './contract-read.ts';
import { testRequests } from './contract-requests.ts';
import { testStreamedRequests } from './contract-streamed-requests.ts';

/**
 * What every implementation of `EventLog` does. Each test has a log of its own.
 *
 * @param name - Of the implementation, with its version.
 */
export function testEventLog(name: string, factory: LogFactory): void {
  describe(`event log on ${name}`, () => {
    testAppends(factory);
    testReads(factory);
    testFaults(factory);
    testRequests(factory);
    testStreamedRequests(factory);
  });
}
