import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';

import { EmbeddedServerError } from './errors.ts';
import { versionOfBinary } from './nats-version.ts';
import { silentLog } from './server-log.ts';
import type { ServerLog } from './server-log.ts';
import { findProgram } from './server-process.ts';

const run = promisify(execFile);

/**
 * Newest first. A package of a later suite runs on an older one here: nats-server needs nothing but libc6
 * 2.34.
 */
const debianSuites = ['sid', 'trixie', 'bookworm'];
const stepTimeoutMs = 120_000;

/**
 * Fetches the newest nats-server of the distribution from the machine's own package mirror, without root and
 * without installing anything: an apt configuration of its own, `apt-get download`, `dpkg-deb -x`. Packages
 * are verified by apt against the distribution's keys. The program ends up as `<into>/nats-server-<version>`;
 * two fetches at once do no harm.
 *
 * @throws {EmbeddedServerError} `nats-server-fetch-failed`: no apt here, no mirror, or no suite that has a
 *   server that runs.
 */
export async function fetchNatsServer(options: {
  readonly into: string;
  readonly suites?: readonly string[];
  readonly log?: ServerLog;
}): Promise<{ path: string; version: string }> {
  const log = options.log ?? silentLog;
  const into = path.resolve(options.into);
  if (findProgram('apt-get') === undefined || findProgram('dpkg-deb') === undefined) {
    throw failed('apt-get and dpkg-deb are not here');
  }
  const source = debianSource();
  if (source === undefined) throw failed('no mirror of Debian or Ubuntu is named in /etc/apt');
  fs.mkdirSync(into, { recursive: true });
  const reasons: string[] = [];
  for (const suite of options.suites ?? source.suites) {
    const work = fs.mkdtempSync(path.join(into, '.fetch-'));
    try {
      log.info({ suite, mirror: source.mirror }, 'fetching nats-server from the package mirror');
      return await fetchFromSuite(work, into, source, suite);
    } catch (error) {
      reasons.push(`${suite}: ${firstLine(error)}`);
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  }
  throw failed(reasons.join('; '));
}

interface AptSource {
  readonly mirror: string;
  readonly suites: readonly string[];
  readonly component: string;
  readonly keyring: string;
}

/** The machine's own mirror, from sources in either format. */
function debianSource(): AptSource | undefined {
  const texts = ['/etc/apt/sources.list', ...filesIn('/etc/apt/sources.list.d')].map((file) => {
    try {
      return fs.readFileSync(file, 'utf8');
    } catch {
      return '';
    }
  });
  const lines = texts
    .join('\n')
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'));
  const urls = lines.flatMap((line) => line.match(/(?:https?|mirror\+file|file):\/*[^\s\]]+/g) ?? []);
  const debian = urls.find((url) => /\/debian\/?$/.test(url));
  if (debian !== undefined) {
    const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
    return { mirror: debian, suites: debianSuites, component: 'main', keyring };
  }
  const ubuntu = urls.find((url) => /\/ubuntu(-ports)?\/?$/.test(url));
  if (ubuntu === undefined) return undefined;
  const keyring = '/usr/share/keyrings/ubuntu-archive-keyring.gpg';
  return { mirror: ubuntu, suites: ubuntuSuites(), component: 'universe', keyring };
}

/**
 * Ubuntu has no rolling suite that older releases can trust: `devel` is the coming one, then the machine's
 * own.
 */
function ubuntuSuites(): string[] {
  const release = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : '';
  const own = /^VERSION_CODENAME=(\S+)/m.exec(release)?.[1];
  return own === undefined ? ['devel'] : ['devel', own];
}

function filesIn(folder: string): string[] {
  if (!fs.existsSync(folder)) return [];
  return fs.readdirSync(folder).map((name) => path.join(folder, name));
}

async function fetchFromSuite(
  work: string,
  into: string,
  source: AptSource,
  suite: string,
): Promise<{ path: string; version: string }> {
  for (const folder of ['etc/preferences.d', 'lists/partial', 'cache/archives/partial']) {
    fs.mkdirSync(path.join(work, folder), { recursive: true });
  }
  const list = path.join(work, 'etc/sources.list');
  fs.writeFileSync(list, `deb [signed-by=${source.keyring}] ${source.mirror} ${suite} ${source.component}\n`);
  const apt = [...aptOptions(work, list)];
  await run('apt-get', [...apt, '-qq', 'update'], { cwd: work, timeout: stepTimeoutMs });
  await run('apt-get', [...apt, '-qq', 'download', 'nats-server'], { cwd: work, timeout: stepTimeoutMs });
  const deb = fs.readdirSync(work).find((name) => name.endsWith('.deb'));
  if (deb === undefined) throw new Error('apt-get downloaded no package');
  await run('dpkg-deb', ['-x', deb, path.join(work, 'root')], { cwd: work, timeout: stepTimeoutMs });
  const unpacked = path.join(work, 'root/usr/sbin/nats-server');
  const version = versionOfBinary(unpacked);
  if (version === undefined) throw new Error('the nats-server of this suite does not run here');
  const target = path.join(into, `nats-server-${version.text}`);
  fs.renameSync(unpacked, target);
  return { path: target, version: version.text };
}

function aptOptions(work: string, list: string): string[] {
  const proxies = filesIn('/etc/apt/apt.conf.d').filter((file) => /proxy/i.test(path.basename(file)));
  const settings = [
    `Dir::Etc=${path.join(work, 'etc')}`,
    `Dir::Etc::sourcelist=${list}`,
    'Dir::Etc::sourceparts=-',
    `Dir::State::lists=${path.join(work, 'lists')}`,
    `Dir::Cache=${path.join(work, 'cache')}`,
    ...(process.getuid?.() === 0 ? ['APT::Sandbox::User=root'] : []),
    'Acquire::Languages=none',
    'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled=false',
    'Acquire::http::Timeout=20',
    'Acquire::https::Timeout=20',
    'Acquire::Retries=1',
    'Debug::NoLocking=1',
  ];
  return [...proxies.flatMap((file) => ['-c', file]), ...settings.flatMap((setting) => ['-o', setting])];
}

function firstLine(error: unknown): string {
  const stderr = (error as { stderr?: unknown }).stderr;
  const text = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : String(error);
  const lines = text.trim().split('\n');
  return (lines.find((line) => line.startsWith('E:')) ?? lines[0] ?? '').slice(0, 300);
}

function failed(reason: string): EmbeddedServerError {
  return new EmbeddedServerError(
    'nats-server-fetch-failed',
    `nats-server could not be fetched: ${reason}`,
    'Install it (Debian, Ubuntu: apt-get install nats-server), or download a release 2.10 or later from ' +
      'https://github.com/nats-io/nats-server/releases, unpack it, and set NATS_SERVER to the path of the program',
  );
}
