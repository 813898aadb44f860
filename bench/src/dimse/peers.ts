import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answersEcho, freePort, run, startProgram } from './programs.ts';
import type { Rig } from './rig.ts';

/** A server that objects are sent to. */
export interface Peer {
  readonly name: string;
  readonly aeTitle: string;
  readonly port: number;
  /** Where received objects lie. */
  readonly directory: string;
  /** Removes them, so that the disk does not fill up and every run begins alike. */
  empty(): void;
}

/**
 * DCMTK's storescp in its fastest mode: it writes what comes in, and neither parses nor syncs.
 * @param options.fork - One process per association; without it associations wait for each other.
 */
export async function startStoreScp(
  rig: Rig,
  options: { readonly aeTitle?: string; readonly fork?: boolean } = {},
): Promise<Peer> {
  const { aeTitle = 'STORESCP', fork = false } = options;
  const directory = rig.folder(`storescp-${aeTitle}`);
  const port = await freePort();
  const args = ['+B', '+xa', '-aet', aeTitle, '-od', directory, ...(fork ? ['--fork'] : []), String(port)];
  const server = startProgram('storescp', ['storescp', ...args], { logFile: `${directory}.log` });
  rig.atEnd('storescp', () => server.stop());
  await answersEcho(server, aeTitle, port);
  const empty = (): void => {
    for (const name of readdirSync(directory)) rmSync(join(directory, name));
  };
  return { name: fork ? 'storescp --fork' : 'storescp', aeTitle, port, directory, empty };
}

/** Orthanc as Debian ships it, with its own SQLite index and no plugins. */
export async function startOrthanc(rig: Rig): Promise<Peer> {
  const directory = rig.folder('orthanc');
  const storage = join(directory, 'storage');
  mkdirSync(storage);
  const port = await freePort();
  const configuration = {
    Name: 'bench',
    StorageDirectory: storage,
    IndexDirectory: join(directory, 'index'),
    Plugins: [],
    DicomAet: 'ORTHANC',
    DicomPort: port,
    HttpPort: await freePort(),
    RemoteAccessAllowed: false,
    DicomAlwaysAllowStore: true,
  };
  const file = join(directory, 'orthanc.json');
  writeFileSync(file, JSON.stringify(configuration));
  const server = startProgram('Orthanc', ['Orthanc', file], { logFile: join(directory, 'orthanc.log') });
  rig.atEnd('Orthanc', () => server.stop());
  await answersEcho(server, 'ORTHANC', port);
  const empty = (): void => {
    // Only the objects: its index lies elsewhere and does not mind.
    for (const name of readdirSync(storage)) rmSync(join(storage, name), { recursive: true });
  };
  return { name: 'Orthanc', aeTitle: 'ORTHANC', port, directory: storage, empty };
}

/** DCMTK's query server over the files of a directory; its index file holds about 4,000 images at most. */
export async function startQueryServer(rig: Rig, files: readonly string[]): Promise<Peer> {
  const directory = rig.folder('dcmqrscp');
  const port = await freePort();
  // Registered in slices: an argument list has a limit.
  for (let at = 0; at < files.length; at += 1_000) {
    const { code, output } = await run('dcmqridx', ['-q', directory, ...files.slice(at, at + 1_000)]);
    if (code !== 0) throw new Error(`dcmqridx ended with ${code}: ${output}`);
  }
  const configuration = [
    `NetworkTCPPort = ${port}`,
    'MaxPDUSize = 131072',
    'MaxAssociations = 16',
    'HostTable BEGIN',
    'HostTable END',
    'VendorTable BEGIN',
    'VendorTable END',
    'AETable BEGIN',
    `QRSCP ${directory} RW (200, 1024mb) ANY`,
    'AETable END',
    '',
  ].join('\n');
  const file = `${directory}.cfg`;
  writeFileSync(file, configuration);
  const server = startProgram('dcmqrscp', ['dcmqrscp', '-c', file], { logFile: `${directory}.log` });
  rig.atEnd('dcmqrscp', () => server.stop());
  await answersEcho(server, 'QRSCP', port);
  return { name: 'dcmqrscp', aeTitle: 'QRSCP', port, directory, empty: () => undefined };
}
