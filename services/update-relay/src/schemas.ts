import { reportStatuses, uidPattern } from '@isthmus/domain';
import { listOf, pageFields } from '@isthmus/service-kit';
import { Type } from 'typebox';

const closed = { additionalProperties: false };
const open = { additionalProperties: true };

export const StudyParams = Type.Object({ uid: Type.String({ pattern: uidPattern.source }) });

export const ReportStatusInput = Type.Object(
  {
    status: Type.Enum([...reportStatuses]),
    accessionNumber: Type.Optional(
      Type.String({ maxLength: 16, description: 'Which report; the study’s own when absent' }),
    ),
    subStatus: Type.Optional(Type.String({ maxLength: 64 })),
    by: Type.Optional(Type.String({ maxLength: 256 })),
    at: Type.Optional(Type.String({ maxLength: 40, description: 'RFC 3339' })),
    reportId: Type.Optional(Type.String({ maxLength: 64 })),
    url: Type.Optional(Type.String({ maxLength: 2048, description: 'Where the report can be read' })),
    reopen: Type.Optional(
      Type.Boolean({
        description: 'Lets the status go back: opens a new revision; the last approval stays in view',
      }),
    ),
    addendum: Type.Optional(
      Type.Boolean({ description: 'Opens an addendum to an approved report, or takes it a step further' }),
    ),
    retract: Type.Optional(
      Type.Boolean({ description: 'Takes back the approvals that are there; opens a new revision' }),
    ),
    reason: Type.Optional(Type.String({ maxLength: 256, description: 'Why it is opened again' })),
  },
  closed,
);

export const StudyInput = Type.Object(
  {
    patient: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(
            Type.String({ description: 'Another ID or issuer moves the study to that patient' }),
          ),
          issuer: Type.Optional(Type.String()),
          name: Type.Optional(Type.String({ description: 'PN, component groups with = between' })),
          birthDate: Type.Optional(Type.String({ description: 'YYYYMMDD' })),
          sex: Type.Optional(Type.String()),
        },
        { ...closed, minProperties: 1 },
      ),
    ),
    accessionNumber: Type.Optional(Type.String()),
    studyDescription: Type.Optional(Type.String()),
    comment: Type.Optional(
      Type.Object(
        { text: Type.String(), author: Type.String() },
        { ...closed, description: 'Added, never replaces one' },
      ),
    ),
    patientLocation: Type.Optional(Type.String()),
    studyStatus: Type.Optional(Type.String()),
    by: Type.Optional(Type.String({ maxLength: 256 })),
  },
  { ...closed, minProperties: 1, description: 'Absent: unchanged. Empty text: cleared.' },
);

/** A study as REST gives it; fields may grow. */
export const StudyAnswer = Type.Object({ studyInstanceUid: Type.String() }, open);

export const TimelineQuery = Type.Object(
  {
    ...pageFields({ limitMax: 1_000, limitDefault: 200 }),
    all: Type.Boolean({ default: false, description: 'Also entries that changed nothing' }),
  },
  closed,
);

export const TimelineAnswer = listOf(
  Type.Object(
    {
      sequence: Type.Integer(),
      id: Type.String(),
      type: Type.String(),
      aggregate: Type.String(),
      effective: Type.Boolean(),
      time: Type.String(),
      hlc: Type.String(),
      origin: Type.String(),
      source: Type.String(),
      path: Type.Array(Type.String()),
      by: Type.Union([Type.String(), Type.Null()]),
      intent: Type.Unknown(),
      recordedAt: Type.String(),
    },
    open,
  ),
);

export const UpdatesQuery = Type.Object(
  {
    peer: Type.Optional(Type.String({ maxLength: 32 })),
    limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
  },
  closed,
);

const nullable = <Schema extends ReturnType<typeof Type.String> | ReturnType<typeof Type.Number>>(
  schema: Schema,
) => Type.Union([schema, Type.Null()]);

export const UpdatesAnswer = Type.Object({
  items: Type.Array(
    Type.Object({
      peer: Type.String(),
      kind: Type.String(),
      study: nullable(Type.String()),
      type: Type.String(),
      id: nullable(Type.String()),
      sequence: nullable(Type.Number()),
      since: nullable(Type.String()),
    }),
  ),
  nextCursor: Type.Null(),
});

export const LinkStatusAnswer = Type.Object(
  {
    peer: Type.String(),
    enabled: Type.Boolean(),
    reachable: Type.Boolean(),
    lastContact: nullable(Type.String()),
    nextAttempt: nullable(Type.String()),
    lastError: nullable(Type.String()),
    roundTripMs: nullable(Type.Number()),
    peerFormat: nullable(Type.Number()),
    peerIncarnation: nullable(Type.String()),
    clockOffsetMs: nullable(Type.Number()),
    updates: Type.Object({
      out: Type.Boolean(),
      in: Type.Boolean(),
      queued: Type.Integer(),
      moreQueued: Type.Boolean(),
      position: Type.Integer(),
      checkpoint: Type.Integer(),
      lag: Type.Integer({ description: 'Log entries behind the checkpoint, those for others included' }),
      oldestQueued: nullable(Type.String()),
      failures: Type.Integer(),
      lastSent: nullable(Type.String()),
      nextAttempt: nullable(Type.String()),
      lastError: nullable(Type.String()),
      sentUpdates: Type.Integer(),
      sentItems: Type.Integer(),
      parked: Type.Integer(),
    }),
  },
  open,
);

export const ParkedQuery = Type.Object(
  {
    peer: Type.Optional(Type.String({ maxLength: 32 })),
    limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
  },
  closed,
);

const Parked = Type.Object({
  id: Type.String(),
  peer: Type.String(),
  study: nullable(Type.String()),
  type: Type.String(),
  eventId: nullable(Type.String()),
  reason: Type.String(),
  status: Type.String(),
  refusals: Type.Integer(),
  parkedAt: Type.String(),
  replaying: Type.Boolean(),
});
export const ParkedAnswer = Parked;
export const ParkedListAnswer = Type.Object({ items: Type.Array(Parked), nextCursor: Type.Null() });
