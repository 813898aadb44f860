import { uidPattern } from '@isthmus/domain';
import { Type } from 'typebox';

const closed = { additionalProperties: false } as const;
const nullable = <Schema extends ReturnType<typeof Type.String>>(schema: Schema) =>
  Type.Union([schema, Type.Null()]);
const date = Type.String({
  pattern: '^(\\d{8}|\\d{4}-\\d{2}-\\d{2})$',
  description: 'A date, 20240131 or 2024-01-31',
});
/** LO and PN without what would break out of a value (PS3.5 6.2). */
const key = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\x00-\\x1f\\x7f\\\\]+$', description });

export const reportStatusWords = ['NEW', 'DICTATED', 'TRANSCRIBED', 'APPROVED', 'UNKNOWN'] as const;

export const SearchBody = Type.Object(
  {
    patientId: Type.Optional(key(64, 'Patient ID; * and ? are wildcards')),
    issuer: Type.Optional(key(64, 'Issuer of Patient ID')),
    patientName: Type.Optional(
      key(324, 'Person name; * and ? are wildcards, without them it is the beginning'),
    ),
    accessionNumber: Type.Optional(key(16, 'Accession Number')),
    studyDate: Type.Optional(
      Type.Object({ from: Type.Optional(date), to: Type.Optional(date) }, { ...closed, minProperties: 1 }),
    ),
    modalities: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z0-9_ ]{1,16}$' }), { minItems: 1, maxItems: 32 }),
    ),
    studyInstanceUid: Type.Optional(Type.String({ pattern: uidPattern.source })),
    reportStatus: Type.Optional(Type.Enum([...reportStatusWords])),
    clusters: Type.Optional(
      Type.Array(key(32, 'Cluster id, or AE title of a third party'), {
        minItems: 1,
        maxItems: 64,
        description: 'Only these clusters',
      }),
    ),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, default: 50 })),
    cursor: Type.Optional(Type.String({ maxLength: 512 })),
  },
  closed,
);

const PatientSchema = Type.Object({
  id: Type.String(),
  issuer: Type.String(),
  name: Type.String({ description: 'PN; component groups with = between' }),
  birthDate: Type.String(),
  sex: Type.String(),
  globalId: Type.String(),
});

const ReportSchema = Type.Object(
  {
    accessionNumber: Type.String(),
    status: Type.String(),
    subStatus: Type.String(),
    by: Type.String(),
    at: Type.String(),
    reportId: Type.String(),
    url: Type.String(),
  },
  { additionalProperties: true },
);

const studyProperties = {
  studyInstanceUid: Type.String(),
  patient: PatientSchema,
  accessionNumber: Type.String(),
  studyDate: Type.String({ description: 'DA' }),
  studyTime: Type.String({ description: 'TM' }),
  studyDescription: Type.String(),
  studyId: Type.String(),
  referringPhysicianName: Type.String(),
  modalities: Type.Array(Type.String()),
  instanceCount: Type.Integer(),
  reportStatus: Type.Enum([...reportStatusWords]),
  reports: Type.Array(ReportSchema),
  objectsSinceApproval: Type.Boolean(),
  studyStatus: Type.String(),
  verification: Type.Object({
    state: Type.String(),
    by: nullable(Type.String()),
    at: nullable(Type.String()),
  }),
  specialty: nullable(Type.String()),
  bodyPart: nullable(Type.String()),
  patientLocation: Type.String(),
  comments: Type.Array(
    Type.Object(
      { text: Type.String(), author: Type.String(), at: Type.String() },
      { additionalProperties: true },
    ),
  ),
  homeCluster: nullable(Type.String()),
  claim: Type.Null(),
  holders: Type.Array(
    Type.Object({
      cluster: Type.String(),
      availability: Type.String(),
      instanceCount: Type.Integer(),
      complete: Type.Boolean(),
      scope: Type.String(),
    }),
  ),
  stateAsOf: nullable(Type.String()),
  stale: Type.Boolean(),
};

export const StudySchema = Type.Object(studyProperties);

export const FoundStudySchema = Type.Object({
  ...studyProperties,
  bestLocation: Type.Union([
    Type.Object({ cluster: Type.String(), availability: Type.String() }),
    Type.Null(),
  ]),
  answeredBy: Type.Array(Type.String()),
  identityConflictWith: Type.Array(Type.String()),
});

export const OutcomeSchema = Type.Object({
  cluster: Type.String(),
  status: Type.Enum(['answered', 'failed', 'timed-out', 'skipped']),
  detail: Type.Optional(Type.String()),
  rows: Type.Integer(),
  keysNotApplied: Type.Array(Type.String()),
});
