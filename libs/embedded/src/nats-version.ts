import { execFileSync } from 'node:child_process';

export interface NatsVersion {
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly text: string;
}

/** @param text - `nats-server: v2.10.27`, `2.15.1`, `2.15.0-dev`. */
export function parseNatsVersion(text: string): NatsVersion | undefined {
  const found = /v?(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (found === null) return undefined;
  const [major, minor, patch] = found.slice(1).map(Number) as [number, number, number];
  return { major, minor, patch, text: `${major}.${minor}.${patch}` };
}

export function compareNatsVersions(a: NatsVersion, b: NatsVersion): number {
  return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

export function isAtLeast(version: NatsVersion, major: number, minor: number): boolean {
  return version.major > major || (version.major === major && version.minor >= minor);
}

/** Asks a binary for its version; undefined when it is no nats-server or does not run here. */
export function versionOfBinary(binary: string): NatsVersion | undefined {
  try {
    const answer = execFileSync(binary, ['--version'], {
      timeout: 5000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return parseNatsVersion(answer.toString());
  } catch {
    return undefined;
  }
}
