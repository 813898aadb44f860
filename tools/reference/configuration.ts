import { configStoreConfig } from '@isthmus/config-store';
import { consoleConfig } from '@isthmus/console';
import { dimseEdgeConfig } from '@isthmus/dimse-edge';
import { prefetcherConfig } from '@isthmus/prefetcher';
import { queryFederatorConfig } from '@isthmus/query-federator';
import { risGatewayConfig } from '@isthmus/ris-gateway';
import { databaseSettings, serviceSettings } from '@isthmus/service-kit';
import type { ConfigSchema, Setting } from '@isthmus/service-kit';
import { updateRelayConfig } from '@isthmus/update-relay';
import { code, paragraph, sentence, table } from './markdown.ts';
import { aboutDeclaration, interfaceMembers } from './source.ts';

export const serviceConfigs: { readonly [service: string]: ConfigSchema } = {
  'dimse-edge': dimseEdgeConfig,
  'update-relay': updateRelayConfig,
  'query-federator': queryFederatorConfig,
  prefetcher: prefetcherConfig,
  'config-store': configStoreConfig,
  'ris-gateway': risGatewayConfig,
  console: consoleConfig,
};

export function settingTable(schema: ConfigSchema): string {
  return table(
    ['Name', 'Default', 'Allowed', 'Meaning'],
    Object.entries(schema).map(([name, setting]) => {
      return [code(name), defaultText(setting), allowed(setting), sentence(setting.about)];
    }),
  );
}

function defaultText(setting: Setting<unknown>): string {
  if (setting.default !== undefined) return code(String(setting.default));
  return setting.required ? '**required**' : 'none';
}

function allowed({ bounds, unit, secret }: Setting<unknown>): string {
  const pattern = /^text that matches (.*)$/s.exec(bounds)?.[1];
  const text = pattern === undefined ? bounds : `text that matches ${code(pattern)}`;
  return `${text}${unit === undefined ? '' : `, in ${unit}`}${secret ? '; never logged' : ''}`;
}

function without(schema: ConfigSchema, ...others: readonly ConfigSchema[]): ConfigSchema {
  const known = new Set(others.flatMap((other) => Object.keys(other)));
  return Object.fromEntries(Object.entries(schema).filter(([name]) => !known.has(name)));
}

const entityFile = 'libs/domain/src/configuration.ts';
const entities = [
  ['ClusterConfiguration', 'Cluster', 'the cluster itself: `PUT /api/v1/cluster`'],
  ['Station', 'Station', 'a DICOM node: `PUT /api/v1/stations/{aeTitle}`'],
  ['Link', 'Link', 'a link to a peer: `PUT /api/v1/links/{peer}`'],
  ['LinkSwitch', 'LinkSwitch', 'one of the four options of a link'],
] as const;

function entitySection([name, title, about]: (typeof entities)[number]): string {
  const members = interfaceMembers(entityFile, name);
  return [
    `### ${title}`,
    '',
    `${sentence(about[0]!.toUpperCase() + about.slice(1))} ${aboutDeclaration(entityFile, name)}`.trim(),
    '',
    table(
      ['Field', 'Type', 'Meaning'],
      members.map((one) => [code(one.name) + (one.optional ? ' (optional)' : ''), code(one.text), one.about]),
    ),
  ].join('\n');
}

/** `docs/reference/configuration.md` */
export function configurationPage(): string {
  const services = Object.entries(serviceConfigs).flatMap(([service, schema]) => [
    `### ${service}`,
    '',
    `The settings of every service${'DATABASE_URL' in schema ? ', those of the database' : ''}, and:`,
    '',
    ownTable(without(schema, serviceSettings, databaseSettings)),
    '',
  ]);
  return [
    '# Configuration',
    '',
    paragraph(
      'Generated from the code: `npm run reference`. Two things are configured: how a',
      'service runs, by environment variables',
      'when it starts; and what the cluster knows (stations, links), in the event log, by',
      'REST or `cluster.yaml`, at once and',
      'without a restart.',
    ),
    '',
    '## Environment',
    '',
    paragraph(
      'A value out of bounds, or a required one that is missing, ends the start with a',
      'message that names all of them. An empty',
      'value counts as absent. `npm start` sets all of these itself.',
    ),
    '',
    '### Every service',
    '',
    settingTable(serviceSettings),
    '',
    '### Every service with tables',
    '',
    settingTable(databaseSettings),
    '',
    ...services,
    '## In the event log',
    '',
    paragraph(
      'Config-store keeps these',
      '([cluster.schema.json](../../services/config-store/cluster.schema.json) is the JSON',
      'Schema of',
      '`cluster.yaml`, with the defaults of fields that are left out).',
    ),
    '',
    entities.map(entitySection).join('\n\n'),
    '',
  ].join('\n');
}

function ownTable(schema: ConfigSchema): string {
  return Object.keys(schema).length === 0 ? 'nothing else.' : settingTable(schema);
}
