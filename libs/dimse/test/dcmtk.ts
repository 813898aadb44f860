import { spawn } from 'node:child_process';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { until } from './acceptor-under-test.ts';

// eslint-disable-next-line no-restricted-syntax -- child processes inherit it, and it says where tools are
const inherited = process.env;

/** Without this DCMTK leaves Nagle's algorithm on, and every exchange takes 40 ms on loopback. */
const environment = { ...inherited, TCP_NODELAY: '1' };

/**
 * Whether a foreign tool is there. When not, the test is skipped by the tool's name; with CI=true it fails
 * instead, so that a build machine without DCMTK does not pass in silence.
 */
export async function hasTool(t: TestContext, tool: string, inPackage = 'dcmtk'): Promise<boolean> {
  for (const folder of (inherited['PATH'] ?? '').split(delimiter)) {
    const found = await access(join(folder, tool)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  if (inherited['CI'] === 'true') throw new Error(`${tool} (package ${inPackage}) is not installed`);
  t.skip(`${tool} (package ${inPackage}) is not installed`);
  return false;
}

/** Runs a tool to its end. Output is what it said on both streams. */
export async function run(
  tool: string,
  args: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(tool, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (text) => (output += String(text)));
  child.stderr.on('data', (text) => (output += String(text)));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code, output };
}

/** Starts a server tool and waits until it takes connections; ended with the test. */
export async function startServer(
  t: TestContext,
  tool: string,
  args: readonly string[],
  port: number,
): Promise<void> {
  const child = spawn(tool, args, { env: environment, stdio: 'ignore' });
  const closed = new Promise((resolve) => child.once('close', resolve));
  t.after(async () => {
    child.kill('SIGKILL');
    await closed;
  });
  let isListening = false;
  const probe = (): void => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      isListening = true;
      socket.destroy();
    });
    socket.once('error', () => setTimeout(probe, 20));
  };
  probe();
  await until(() => isListening, `${tool} to listen`);
}

/** A port that nobody listens on now. DCMTK cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** An empty folder, removed with the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'dimse-dcmtk-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/**
 * dcmqrscp with an empty database, called ARCHIVE; it knows our AE title ACCEPTOR at `ourPort` as a move
 * destination.
 */
export async function startArchive(t: TestContext, ourPort: number): Promise<number> {
  const port = await freePort();
  const database = await folder(t);
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
  await startServer(t, 'dcmqrscp', ['-c', configuration], port);
  return port;
}
