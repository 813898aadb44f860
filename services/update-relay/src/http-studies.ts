import type { Refusal, RegisterMap, StudyCommand } from '@isthmus/domain';
import { patientOf, studyStamp, studyView, uidPattern } from '@isthmus/domain';
import {
  checkIfMatch,
  etagOf,
  failures,
  notFound,
  pageOf,
  Problem,
  sequenceOfCursor,
  unprocessable,
} from '@isthmus/service-kit';
import type { HttpApp, Idempotency, Page, Projection, WriteAnswer } from '@isthmus/service-kit';
import type { FastifyRequest } from 'fastify';
import { sql } from 'kysely';
import { ContendedError } from './commands.ts';
import type { CommandOptions, Commands } from './commands.ts';
import {
  ReportStatusInput,
  StudyAnswer,
  StudyInput,
  StudyParams,
  TimelineAnswer,
  TimelineQuery,
} from './schemas.ts';
import { patientKeyOf } from './state.ts';
import type { RelayStore } from './store/rows.ts';
import { columnText } from './tables.ts';
import type { EntriesTable, RelayDatabase } from './tables.ts';

export interface StudyRoutesParts {
  readonly cluster: string;
  /** For what people read and nothing else does. */
  readonly db: RelayDatabase;
  readonly store: RelayStore;
  readonly commands: Commands;
  readonly idempotency: Idempotency;
  readonly projection: Pick<Projection, 'waitFor'>;
  readonly projectionWaitMs: number;
}

/** Commands on a study, and its timeline. */
export function addStudyRoutes(app: HttpApp, parts: StudyRoutesParts): void {
  const written = { 200: StudyAnswer, 202: StudyAnswer, ...failures };
  app.put(
    '/api/v1/studies/:uid/report-status',
    {
      schema: {
        tags: ['studies'],
        summary: 'Set the status of a report',
        params: StudyParams,
        body: ReportStatusInput,
        response: written,
      },
    },
    async (request, reply) =>
      (await parts.idempotency.once(request, reply, (eventId) => {
        const studyInstanceUid = studyOf(request.params.uid);
        const command = { ...request.body, type: 'ChangeReportStatus', studyInstanceUid } as const;
        return write(command as StudyCommand, request, eventId, parts);
      })) as never,
  );
  app.patch(
    '/api/v1/studies/:uid',
    {
      schema: {
        tags: ['studies'],
        summary: 'Change demographics, location or status of a study, or add a comment',
        params: StudyParams,
        body: StudyInput,
        response: written,
      },
    },
    async (request, reply) =>
      (await parts.idempotency.once(request, reply, (eventId) => {
        const studyInstanceUid = studyOf(request.params.uid);
        const command = { ...request.body, type: 'ChangeStudy', studyInstanceUid } as const;
        return write(command, request, eventId, parts);
      })) as never,
  );
  app.get(
    '/api/v1/studies/:uid/timeline',
    {
      schema: {
        tags: ['studies'],
        summary: 'What happened to a study and its patient, oldest first',
        params: StudyParams,
        querystring: TimelineQuery,
        response: { 200: TimelineAnswer, ...failures },
      },
    },
    async (request) => readTimeline(parts, studyOf(request.params.uid), request.query),
  );
}

function studyOf(uid: string): string {
  if (!uidPattern.test(uid)) throw notFound('There is no such study here.');
  return uid;
}

/**
 * Carries a command out and answers with the study as it then is: 200, or 202 when our own reading is not
 * there yet.
 */
async function write(
  command: StudyCommand,
  request: FastifyRequest,
  commandId: string | undefined,
  parts: StudyRoutesParts,
): Promise<WriteAnswer> {
  const options: CommandOptions = {
    ...(commandId === undefined ? {} : { commandId }),
    ...seenBy(request),
    ifMatch: (stamp) => checkIfMatch(request, etagOf(stamp)),
  };
  let outcome;
  try {
    outcome = await parts.commands.execute(command, options);
  } catch (error) {
    if (!(error instanceof ContendedError)) throw error;
    throw new Problem(503, undefined, {
      detail: error.remedy,
      code: error.code,
      headers: { 'retry-after': '1' },
    });
  }
  if ('refused' in outcome) throw problemOf(outcome.refused);
  const shown = await parts.projection.waitFor(outcome.sequence, parts.projectionWaitMs);
  const study = await readStudy(parts, command.studyInstanceUid);
  if (!study) throw new Problem(503, undefined, { detail: 'The change is stored, but cannot be read yet.' });
  return { status: shown ? 200 : 202, headers: { etag: study.etag }, body: study.body };
}

/** The stamp inside the ETag that the author had seen. */
function seenBy(request: FastifyRequest): Pick<CommandOptions, 'seen'> {
  const seen = /"([0-9a-f]{16})-/.exec(request.headers['if-match'] ?? '')?.[1];
  return seen === undefined ? {} : { seen };
}

function problemOf(refused: Refusal): Problem {
  const { code, detail, pointer } = refused;
  switch (code) {
    case 'STUDY_UNKNOWN':
      return new Problem(404, undefined, { detail, code });
    case 'STATUS_WOULD_GO_BACK':
      return new Problem(409, undefined, { detail, code, errors: [{ pointer: '/status', detail }] });
    case 'NOT_HOME':
      return new Problem(409, undefined, { detail, code });
    case 'VALUE_CHANGED':
      return new Problem(409, undefined, { detail, code, errors: [{ pointer: pointer ?? '', detail }] });
    case 'VALUE_INVALID':
      return unprocessable(pointer ?? '', detail, { code });
  }
}

async function readStudy(
  { cluster, db, store }: StudyRoutesParts,
  uid: string,
): Promise<{ readonly etag: string; readonly body: object } | undefined> {
  const study = (await store.studies([uid])).get(uid)?.registers;
  if (!study || !patientOf(study)) return undefined;
  const key = patientKeyOf(study) ?? '';
  const patient: RegisterMap = (await store.patients([key])).get(key)?.registers ?? {};
  const counted = await sql<{ instances: number; modalities: string[] | null }>`
    select count(*) as instances,
      array_agg(distinct modality order by modality) filter (where modality <> '') as modalities
    from objects where study = ${uid}`.execute(db);
  const { instances = 0, modalities } = counted.rows[0] ?? { modalities: null };
  const view = studyView(study, Object.fromEntries([[key, patient]]), { [cluster]: 'ONLINE' });
  const body = { studyInstanceUid: uid, ...view, modalities: modalities ?? [], instanceCount: instances };
  return { etag: etagOf(studyStamp(study, patient)), body };
}

async function readTimeline(
  { db, store }: StudyRoutesParts,
  uid: string,
  query: { readonly limit: number; readonly cursor?: string; readonly all: boolean },
): Promise<Page<TimelineItem>> {
  const after = sequenceOfCursor(query.cursor) ?? 0;
  const study = (await store.studies([uid])).get(uid)?.registers;
  if (!study) throw notFound('There is no such study here.');
  const key = patientKeyOf(study);
  const subjects = key === undefined ? [uid] : [uid, columnText(key)];
  const rows = await sql<EntriesTable>`select * from entries
    where subject = any(${subjects}::text[]) and (effective or ${query.all})
      and sequence > ${after}
    order by sequence limit ${query.limit + 1}`.execute(db);
  return pageOf(rows.rows, query.limit, (row) => row.sequence, timelineItem);
}

interface TimelineItem {
  sequence: number;
  id: string;
  type: string;
  aggregate: string;
  effective: boolean;
  time: string;
  hlc: string;
  origin: string;
  source: string;
  path: string[];
  by: string | null;
  intent: unknown;
  recordedAt: string;
}

function timelineItem(row: EntriesTable): TimelineItem {
  const { event } = row;
  const { by, intent } = event.data as { by?: string; intent?: unknown };
  return {
    sequence: row.sequence,
    id: event.id,
    type: event.type,
    aggregate: row.aggregate,
    effective: row.effective,
    time: event.time,
    hlc: event.hlc,
    origin: event.origin,
    source: event.source,
    path: row.path,
    by: by ?? null,
    intent: intent ?? {},
    recordedAt: row.recorded_at.toISOString(),
  };
}
