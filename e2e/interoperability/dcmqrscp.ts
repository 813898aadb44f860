import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@isthmus/testing';
import { startTool } from '@isthmus/testing/dcmtk';
import { dataSetsIn } from './clusters.ts';

/** DCMTK's archive. */
export interface Dcmqrscp {
  readonly aeTitle: string;
  readonly port: number;
  /** What it keeps, by SOP Instance UID, without File Meta Information. */
  dataSets(): ReadonlyMap<string, Buffer>;
  stop(): Promise<void>;
}

/**
 * Starts a dcmqrscp on a free port with an own folder; it writes objects as it reads them (`+B`).
 * @param destinations - Ports by the AE titles that it knows as move destinations.
 */
export async function startDcmqrscp(
  aeTitle: string,
  destinations: Readonly<Record<string, number>>,
): Promise<Dcmqrscp> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-dcmqrscp-'));
  const port = await freePort();
  const hosts = Object.entries(destinations).map(
    ([title, theirs]) => `${title.toLowerCase()} = (${title}, 127.0.0.1, ${theirs})`,
  );
  const configuration = [
    ...[`NetworkTCPPort = ${port}`, 'MaxPDUSize = 16384', 'MaxAssociations = 16'],
    ...['HostTable BEGIN', ...hosts, 'HostTable END', 'VendorTable BEGIN', 'VendorTable END'],
    ...['AETable BEGIN', `${aeTitle} ${folder} RW (200, 1024mb) ANY`, 'AETable END', ''],
  ];
  const file = join(folder, 'dcmqrscp.cfg');
  await writeFile(file, configuration.join('\n'));
  const end = await startTool(undefined, 'dcmqrscp', ['-c', file, '+B'], port);
  return {
    aeTitle,
    port,
    dataSets: () => dataSetsIn(folder, '.dcm'),
    stop: async () => {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
