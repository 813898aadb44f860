import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';

/**
 * Why DCMTK's tools cannot be used here, or false. On a user's machine tests are then skipped by name; in CI a missing
 * peer is a failure, so that a green run always means that they ran.
 */
export function dcmtkMissing(): string | false {
  const found = spawnSync('storescu', ['--version']).status === 0;
  if (!found && process.env['CI'] === 'true') throw new Error('DCMTK is missing; tools/setup installs it');
  return found ? false : 'DCMTK (Debian package dcmtk) is not installed';
}

export interface ToolResult {
  readonly code: number;
  readonly output: string;
}

/** Nagle's algorithm and delayed acknowledgement cost 40 ms per object on loopback. */
const toolEnvironment = { ...process.env, TCP_NODELAY: '1' };

/** Runs one of DCMTK's tools to its end. */
export async function dcmtk(tool: string, ...args: readonly string[]): Promise<ToolResult> {
  const child = spawn(tool, args, { env: toolEnvironment, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? -1, output };
}

export interface StoreScp {
  readonly port: number;
  readonly aeTitle: string;
  /** Received files by SOP Instance UID: data set bytes without File Meta Information. */
  dataSets(): ReadonlyMap<string, Buffer>;
  stop(): Promise<void>;
}

/** DCMTK's storescp in bit-preserving mode (`+B`), on a free port. */
export async function startStoreScp(aeTitle: string): Promise<StoreScp> {
  const directory = mkdtempSync(join(tmpdir(), 'isthmus-scp-'));
  const port = await freePort();
  const child = spawn('storescp', ['+B', '+xa', '-aet', aeTitle, '-od', directory, String(port)], {
    env: toolEnvironment,
    stdio: 'ignore',
  });
  await eventually('storescp answers', 10_000, async () => {
    return (await dcmtk('echoscu', '-aec', aeTitle, '127.0.0.1', String(port))).code === 0;
  });
  return {
    port,
    aeTitle,
    dataSets() {
      const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)));
      return new Map(
        files.map((file) => [metaOf(file).sopInstanceUid, file.subarray(metaOf(file).dataSetOffset)]),
      );
    },
    async stop() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Reads group 0002 of a file, independently of our own reader (PS3.10 §7.1). */
export function metaOf(file: Buffer): {
  sopClassUid: string;
  sopInstanceUid: string;
  transferSyntaxUid: string;
  dataSetOffset: number;
} {
  if (file.toString('latin1', 128, 132) !== 'DICM') throw new Error('not a DICOM file');
  const end = 144 + file.readUInt32LE(140);
  const uids = new Map<number, string>();
  for (let offset = 144; offset < end;) {
    const element = file.readUInt16LE(offset + 2);
    const long = ['OB', 'UN', 'OW', 'SQ', 'UT'].includes(file.toString('latin1', offset + 4, offset + 6));
    const length = long ? file.readUInt32LE(offset + 8) : file.readUInt16LE(offset + 6);
    const start = offset + (long ? 12 : 8);
    uids.set(element, file.toString('latin1', start, start + length).replace(/\0+$/, ''));
    offset = start + length;
  }
  return {
    sopClassUid: uids.get(0x0002)!,
    sopInstanceUid: uids.get(0x0003)!,
    transferSyntaxUid: uids.get(0x0010)!,
    dataSetOffset: end,
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
