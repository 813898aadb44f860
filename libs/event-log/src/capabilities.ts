import type { ServerCapabilities } from './event-log.ts';

/** Where notices go; pino's logger fits. */
export interface EventLogLogger {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/**
 * @param version - As the server gives it, e.g. `2.10.27` or `2.15.0-dev`. Versions compare by number, not by
 * text.
 */
export function isAtLeast(version: string, major: number, minor: number): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map((part) => Number.parseInt(part, 10) || 0);
  return ownMajor > major || (ownMajor === major && ownMinor >= minor);
}

/**
 * What a server of this version can do. Older servers accept newer headers and settings without an error and
 * ignore them, so nothing may be tried: it is decided here.
 */
export function capabilitiesOf(version: string): ServerCapabilities {
  return { version, syncAlways: isAtLeast(version, 2, 10), atomicBatch: isAtLeast(version, 2, 12) };
}

/** One line at start that says what this server can do, and what it cannot promise. */
export function logCapabilities(capabilities: ServerCapabilities, log: EventLogLogger): void {
  log.info({ natsServer: capabilities }, 'event log: what this server can do');
  if (!capabilities.syncAlways) {
    log.warn(
      { natsServer: capabilities.version },
      'this nats-server is older than 2.10: an acknowledged event may be lost when the power fails, not when a process dies',
    );
  }
}
