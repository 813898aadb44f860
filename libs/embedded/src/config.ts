import path from 'node:path';

/** What of the environment matters to finding programs. */
export interface ProgramEnvironment {
  /** `NATS_SERVER`: the nats-server to use, whatever else there is. */
  readonly natsServer: string | undefined;
  /** Folders of `PATH`, then the ones where distributions put servers. */
  readonly folders: readonly string[];
}

/** Reads `NATS_SERVER` and `PATH`. The only place of this library that looks at the environment. */
export function programEnvironment(env: NodeJS.ProcessEnv = process.env): ProgramEnvironment {
  const folders = (env.PATH ?? '').split(path.delimiter).filter((folder) => folder !== '');
  return {
    natsServer: env.NATS_SERVER === '' ? undefined : env.NATS_SERVER,
    // An ordinary user of Debian has no sbin on the path, but nats-server lives there.
    folders: [...new Set([...folders, '/usr/sbin', '/usr/local/sbin', '/usr/local/bin'])],
  };
}
