import { isAtLeast } from './nats-version.ts';
import type { NatsVersion } from './nats-version.ts';

export interface NatsConfiguration {
  /** 0 = any free one. */
  readonly port: number;
  readonly storeDir: string;
  readonly serverName: string;
  readonly maxFileStoreBytes?: number;
  /** Acknowledge only what is on the disk (servers from 2.10). */
  readonly syncAlways: boolean;
}

/**
 * Text of nats.conf for a server of this version. Loopback only, JetStream on, and `sync_interval: always`
 * where the server knows the key: 2.9 refuses to start when it sees it, and cannot give that guarantee.
 */
export function natsConfigurationText(version: NatsVersion, configuration: NatsConfiguration): string {
  const { port, storeDir, serverName, maxFileStoreBytes, syncAlways } = configuration;
  const jetstream = [
    `  store_dir: ${JSON.stringify(storeDir)}`,
    ...(maxFileStoreBytes === undefined ? [] : [`  max_file_store: ${maxFileStoreBytes}`]),
    ...(syncAlways && isAtLeast(version, 2, 10) ? ['  sync_interval: always'] : []),
  ];
  return [
    `# Generated for nats-server ${version.text} at every start; changes here are lost.`,
    `listen: "127.0.0.1:${port === 0 ? -1 : port}"`,
    `server_name: ${JSON.stringify(serverName)}`,
    'max_payload: 1048576',
    'jetstream {',
    ...jetstream,
    '}',
    '',
  ].join('\n');
}
