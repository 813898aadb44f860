import { uidPattern } from '@isthmus/domain';
import { listOf, pageFields } from '@isthmus/service-kit';
import { Type } from 'typebox';
import { jobStates } from './tables.ts';

const closed = { additionalProperties: false } as const;
const uid = Type.String({ pattern: uidPattern.source });

const CandidateAnswer = Type.Object({
  studyInstanceUid: Type.String(),
  studyDate: Type.String(),
  studyDescription: Type.String(),
  modalities: Type.Array(Type.String()),
  instanceCount: Type.Optional(Type.Integer()),
  holders: Type.Array(Type.String()),
  chosen: Type.Boolean(),
  action: Type.Enum(['retrieve', 'send', 'retrieve-and-send', 'none']),
  why: Type.String({ description: 'Why it is fetched or why not' }),
  outcome: Type.Optional(Type.Enum(['done', 'failed'])),
  detail: Type.Optional(Type.String()),
});

const Patient = Type.Object({ id: Type.String(), issuer: Type.String() });

export const JobAnswer = Type.Object({
  id: Type.String(),
  trigger: Type.Object({
    kind: Type.Literal('order'),
    accessionNumber: Type.String(),
    accessionIssuer: Type.String(),
  }),
  patient: Patient,
  studyInstanceUid: Type.Union([Type.String(), Type.Null()]),
  readAt: Type.String(),
  scheduledAt: Type.Union([Type.String(), Type.Null()]),
  state: Type.Enum([...jobStates]),
  reason: Type.Union([Type.String(), Type.Null()]),
  attempts: Type.Integer(),
  nextAttemptAt: Type.Union([Type.String(), Type.Null()]),
  createdAt: Type.String(),
  updatedAt: Type.String(),
  priors: Type.Array(CandidateAnswer),
});
export const JobList = listOf(JobAnswer);
export const JobQuery = Type.Object(
  {
    ...pageFields({ limitMax: 200, limitDefault: 50 }),
    state: Type.Optional(Type.Enum([...jobStates])),
  },
  closed,
);

export const DryRunInput = Type.Object(
  {
    patient: Type.Object(
      {
        id: Type.String({ minLength: 1, maxLength: 64 }),
        issuer: Type.String({ minLength: 1, maxLength: 64 }),
      },
      closed,
    ),
    studyInstanceUid: Type.Optional(uid),
    readAt: Type.Optional(
      Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$', description: 'This cluster when absent' }),
    ),
  },
  closed,
);
export const DryRunAnswer = Type.Object({
  readAt: Type.String(),
  candidates: Type.Array(CandidateAnswer),
  clusters: Type.Array(
    Type.Object({
      cluster: Type.String(),
      status: Type.String(),
      detail: Type.Optional(Type.String()),
      rows: Type.Integer(),
    }),
  ),
});
