import { listOf } from '@isthmus/service-kit';
import { Type } from 'typebox';
import type { TSchema } from 'typebox';

/**
 * What may be configured, as JSON Schema: of REST bodies, of answers, and of `cluster.yaml`. Defaults:
 * `entities.ts`.
 */

export const clusterIdSchema = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,31}$',
  description: 'Id of a cluster: lower case, at most 32 characters',
});

/** 1 to 16 printable ASCII characters without backslash, no space at either end (PS3.5 §6.2). */
export const aeTitleSchema = Type.String({
  pattern: '^[!-\\[\\]-~](?:[ -\\[\\]-~]{0,14}[!-\\[\\]-~])?$',
  description: 'AE title (PS3.5 §6.2)',
});

const label = (description: string): TSchema & { type: 'string' } =>
  Type.String({ minLength: 1, maxLength: 64, pattern: '^[^\\u0000-\\u001f\\u007f\\\\]*$', description });

/** Caret separates the parts of a patient key. */
const patientDomainSchema = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[^\\u0000-\\u001f\\u007f\\\\^]*$',
  description: 'Issuer of Patient ID (0010,0021)',
});

const optionalSwitch = (description: string): ReturnType<typeof Type.Optional<typeof switchInput>> =>
  Type.Optional({ ...switchInput, description } as typeof switchInput);

const switchInput = Type.Object(
  {
    in: Type.Optional(Type.Boolean({ description: 'We take from the peer' })),
    out: Type.Optional(Type.Boolean({ description: 'We send to the peer' })),
  },
  { additionalProperties: false },
);
const switchOutput = Type.Object({ in: Type.Boolean(), out: Type.Boolean() });

/** Sent back by who read an entity, changed it and puts it: known, and not looked at. */
const readOnlyFields = {
  version: Type.Optional(
    Type.Integer({ readOnly: true, description: 'Present version; the ETag. Ignored here' }),
  ),
  warnings: Type.Optional(Type.Array(Type.Unknown(), { readOnly: true, description: 'Ignored here' })),
};
const writeOnlyFields = {
  reason: Type.Optional(
    Type.String({ maxLength: 500, writeOnly: true, description: 'Why; kept in the history' }),
  ),
};

const clusterFields = {
  id: clusterIdSchema,
  name: label('Name for people'),
  aeTitle: aeTitleSchema,
  patientDomain: patientDomainSchema,
};
export const clusterEntity = Type.Object(clusterFields, { additionalProperties: false });
export const clusterBody = Type.Object(
  { ...clusterFields, ...readOnlyFields, ...writeOnlyFields },
  { additionalProperties: false },
);

/** As `openssl x509 -fingerprint -sha256` writes it. */
const fingerprint = '(?:[0-9A-Fa-f]{2}:){31}[0-9A-Fa-f]{2}';
/** RFC 4514, the part of it that subjects need: attributes with commas between, backslash before a comma in a value. */
const attribute = '[A-Za-z0-9][A-Za-z0-9.]*=(?:[^,\\\\\\u0000-\\u001f]|\\\\[,\\\\])+';
const subject = `${attribute}(?:,${attribute})*`;

const stationFields = {
  host: Type.String({ pattern: '^[A-Za-z0-9:][A-Za-z0-9.:_-]{0,252}$', description: 'Name or address' }),
  port: Type.Integer({ minimum: 1, maximum: 65535 }),
  tls: Type.Optional(
    Type.Boolean({ default: false, description: 'It is called by TLS, and may come by TLS alone' }),
  ),
  certificates: Type.Optional(
    Type.Array(
      Type.String({
        pattern: `^(?:${fingerprint}|${subject})$`,
        maxLength: 1024,
        description: 'SHA-256 fingerprint (AB:CD:…), or attributes of the subject (CN=CT1,O=Hospital)',
      }),
      {
        maxItems: 8,
        uniqueItems: true,
        description:
          'The only certificates that it may show over TLS; without any, each that is trusted and no other’s',
      },
    ),
  ),
  kind: Type.Enum(['modality', 'workstation', 'cluster', 'third-party', 'ris-gateway']),
  cluster: Type.Optional(clusterIdSchema),
  stationName: Type.Optional(label('Station Name (0008,1010)')),
  institution: Type.Optional(label('Institution Name (0008,0080)')),
  department: Type.Optional(label('Institutional Department Name (0008,1040)')),
  patientDomain: Type.Optional(patientDomainSchema),
  archive: Type.Optional(
    Type.Boolean({ default: true, description: 'Objects from it are archived without asking' }),
  ),
  alsoSendsAs: Type.Optional(Type.Array(aeTitleSchema, { maxItems: 32, uniqueItems: true, default: [] })),
  keepsStatus: Type.Optional(
    Type.Boolean({ description: 'It keeps report status; default: a cluster does' }),
  ),
  associationsMax: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 16,
      description: 'Associations to it that objects are sent over at once; default: as the edge is set up',
    }),
  ),
  transcodeTo: Type.Optional(
    Type.Array(Type.String({ pattern: '^1\\.2\\.840\\.10008\\.1\\.2(\\.1(\\.99)?)?$' }), {
      maxItems: 3,
      uniqueItems: true,
      description:
        'Implicit, Explicit or Deflated Explicit VR Little Endian, best first: what objects are converted to that it does ' +
        'not take as they are; default: none',
    }),
  ),
};
export const stationEntity = Type.Object(
  { aeTitle: aeTitleSchema, ...stationFields },
  { additionalProperties: false },
);
export const stationBody = Type.Object(
  { aeTitle: Type.Optional(aeTitleSchema), ...stationFields, ...readOnlyFields, ...writeOnlyFields },
  { additionalProperties: false },
);

export const peerSchema = Type.String({
  pattern: '^[!-\\[\\]-~](?:[ -\\[\\]-~]{0,30}[!-\\[\\]-~])?$',
  description: 'Cluster id, or AE title of a third-party station',
});
const linkFields = {
  enabled: Type.Optional(Type.Boolean({ default: true, description: 'Cluster Linking: the master switch' })),
  internalQueries: optionalSwitch('Link Internal Queries'),
  externalQueries: optionalSwitch('Link External Queries'),
  updates: optionalSwitch('Link Cluster Updates; off for a third-party station'),
  prefetching: optionalSwitch('Link Prefetching'),
};
export const linkEntity = Type.Object({ peer: peerSchema, ...linkFields }, { additionalProperties: false });
export const linkBody = Type.Object(
  { peer: Type.Optional(peerSchema), ...linkFields, ...readOnlyFields, ...writeOnlyFields },
  { additionalProperties: false },
);

const stationsMax = 5_000;
const linksMax = 500;

/** `cluster.yaml`. */
export const clusterFileSchema = Type.Object(
  {
    cluster: clusterEntity,
    stations: Type.Optional(Type.Array(stationEntity, { maxItems: stationsMax })),
    links: Type.Optional(Type.Array(linkEntity, { maxItems: linksMax })),
  },
  {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Isthmus cluster file',
    description: 'Seeds the configuration of one cluster: itself, the stations it knows, its links.',
    additionalProperties: false,
  },
);

const version = Type.Integer({ minimum: 1, description: 'Counts the changes of this entity; its ETag' });
const warnings = Type.Array(
  Type.Object({ code: Type.String(), pointer: Type.String(), detail: Type.String() }),
);

export const clusterAnswer = Type.Object({ ...clusterFields, version });
export const stationAnswer = Type.Object({
  aeTitle: Type.String(),
  ...stationFields,
  tls: Type.Boolean(),
  archive: Type.Boolean(),
  alsoSendsAs: Type.Array(Type.String()),
  keepsStatus: Type.Boolean(),
  version,
});
export const linkAnswer = Type.Object({
  peer: Type.String(),
  enabled: Type.Boolean(),
  internalQueries: switchOutput,
  externalQueries: switchOutput,
  updates: switchOutput,
  prefetching: switchOutput,
  version,
  warnings,
});

export const historyAnswer = listOf(
  Type.Object({
    id: Type.String({ description: 'Id of the event' }),
    at: Type.String({ format: 'date-time' }),
    kind: Type.Enum(['cluster', 'station', 'link']),
    name: Type.String(),
    version: Type.Integer(),
    author: Type.String(),
    reason: Type.String(),
    value: Type.Unknown({ description: 'The whole value from then on; null: removed' }),
  }),
);
