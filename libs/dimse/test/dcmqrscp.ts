import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { freePort, temporaryFolder } from '@isthmus/testing';
import { startTool } from '@isthmus/testing/dcmtk';

/**
 * DCMTK's archive with an empty database, called ARCHIVE; it knows our AE title ACCEPTOR at `ourPort` as a move
 * destination. Ended after the test.
 * @returns Its port.
 */
export async function startDcmqrscp(t: TestContext, ourPort: number): Promise<number> {
  const port = await freePort();
  const database = await temporaryFolder(t);
  const configuration = join(database, 'dcmqrscp.cfg');
  await writeFile(
    configuration,
    [
      `NetworkTCPPort = ${port}`,
      'MaxPDUSize = 16384',
      'MaxAssociations = 16',
      'HostTable BEGIN',
      `acceptor = (ACCEPTOR, 127.0.0.1, ${ourPort})`,
      'HostTable END',
      'VendorTable BEGIN',
      'VendorTable END',
      'AETable BEGIN',
      `ARCHIVE ${database} RW (100, 1024mb) ANY`,
      'AETable END',
    ].join('\n'),
  );
  await startTool(t, 'dcmqrscp', ['-c', configuration], port);
  return port;
}
