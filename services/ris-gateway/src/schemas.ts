import { pageFields } from '@isthmus/service-kit';
import { Type } from 'typebox';
import type { Static } from 'typebox';

const closed = { additionalProperties: false } as const;
/** SH, LO (PS3.5 §6.2): no control characters, no backslash, not only spaces. */
const shortText = (maxLength: number, description: string) =>
  Type.String({
    minLength: 1,
    maxLength,
    pattern: '^[^\\x00-\\x1f\\x7f\\\\]*[^\\x00-\\x20\\x7f\\\\][^\\x00-\\x1f\\x7f\\\\]*$',
    description,
  });
const clusterId = Type.String({
  pattern: '^[a-z][a-z0-9-]{0,31}$',
  description: 'Cluster that will read it; the cluster that took the order when absent',
});
const dateTime = (description: string) => Type.String({ format: 'date-time', description });

const PatientInput = Type.Object(
  {
    id: shortText(64, 'Patient ID'),
    issuer: Type.Optional(shortText(64, "Issuer of Patient ID; the cluster's patient domain when absent")),
    name: Type.Optional(Type.String({ maxLength: 324, description: 'PN; component groups with = between' })),
    birthDate: Type.Optional(Type.String({ pattern: '^[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])$' })),
    sex: Type.Optional(Type.Enum(['M', 'F', 'O'])),
  },
  closed,
);

export const OrderInput = Type.Object(
  {
    accessionNumber: shortText(16, 'Accession Number'),
    accessionIssuer: Type.Optional(shortText(64, 'Issuer of the Accession Number')),
    patient: PatientInput,
    studyInstanceUid: Type.Optional(
      Type.String({ maxLength: 64, pattern: '^(0|[1-9][0-9]*)(\\.(0|[1-9][0-9]*))+$' }),
    ),
    modality: Type.Optional(Type.String({ pattern: '^[A-Z0-9_ ]{1,16}$' })),
    procedure: Type.Optional(shortText(64, 'Requested Procedure Description')),
    scheduledAt: Type.Optional(dateTime('When it is scheduled')),
    readAt: Type.Optional(clusterId),
    status: Type.Optional(Type.Enum(['SCHEDULED', 'CANCELLED', 'COMPLETED'], { default: 'SCHEDULED' })),
  },
  { ...closed, description: 'An order, whole: what is left out is unknown' },
);
export type OrderInput = Static<typeof OrderInput>;

export const VisitInput = Type.Object(
  {
    visitNumber: shortText(64, 'Visit number (Admission ID)'),
    patient: PatientInput,
    location: Type.Optional(shortText(64, 'Where the patient will be')),
    scheduledAt: Type.Optional(dateTime('When the visit is')),
    readAt: Type.Optional(clusterId),
    status: Type.Optional(Type.Enum(['BOOKED', 'ARRIVED', 'CANCELLED'], { default: 'BOOKED' })),
  },
  { ...closed, description: 'A visit, whole' },
);
export type VisitInput = Static<typeof VisitInput>;

const kept = { placedAt: Type.String(), changedAt: Type.String() };
const PatientAnswer = Type.Object({
  id: Type.String(),
  issuer: Type.String(),
  name: Type.Optional(Type.String()),
  birthDate: Type.Optional(Type.String()),
  sex: Type.Optional(Type.String()),
});
export const OrderAnswer = Type.Object({
  accessionNumber: Type.String(),
  accessionIssuer: Type.Optional(Type.String()),
  patient: PatientAnswer,
  studyInstanceUid: Type.Optional(Type.String()),
  modality: Type.Optional(Type.String()),
  procedure: Type.Optional(Type.String()),
  scheduledAt: Type.Optional(Type.String()),
  readAt: Type.Optional(Type.String()),
  status: Type.String(),
  ...kept,
});
export const VisitAnswer = Type.Object({
  visitNumber: Type.String(),
  patient: PatientAnswer,
  location: Type.Optional(Type.String()),
  scheduledAt: Type.Optional(Type.String()),
  readAt: Type.Optional(Type.String()),
  status: Type.String(),
  ...kept,
});

export const ListQuery = Type.Object(
  {
    ...pageFields({ limitMax: 200, limitDefault: 50 }),
    status: Type.Optional(Type.String({ maxLength: 16 })),
  },
  closed,
);
