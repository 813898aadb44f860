export {
  choice,
  databaseSettings,
  flag,
  integer,
  readConfig,
  serviceSettings,
  text,
  url,
} from './config/config.ts';
export type { ConfigOf, ConfigSchema, Setting } from './config/config.ts';
export { ConfigError } from './config/errors.ts';

export { createLog, describeError } from './log/log.ts';
export type { Log, LogLevel } from './log/log.ts';

export { startHttp } from './http/server.ts';
export type { HttpApp, HttpOptions, HttpServer } from './http/server.ts';
export { listOf, pageFields, pageOf, sequenceOfCursor } from './http/pages.ts';
export type { Page } from './http/pages.ts';
export { failures, notFound, Problem, problemBody, ProblemSchema, unprocessable } from './http/problem.ts';
export type { ProblemFacts, ProblemPart } from './http/problem.ts';
export { checkIfMatch, etagOf, requireIfMatch } from './http/etag.ts';
export { createIdempotency, idempotencyMigration } from './http/idempotency.ts';
export type { Idempotency, WriteAnswer } from './http/idempotency.ts';
export { postgresCheck, readiness } from './http/health.ts';
export type { Check, CheckResult, Readiness } from './http/health.ts';
export { createMetrics } from './http/metrics.ts';
export type { Metrics } from './http/metrics.ts';
export { InsecureListenError, isLoopback } from './http/loopback.ts';

export { connectPostgres } from './postgres/connect.ts';
export type { Database, DatabaseTransaction, PostgresOptions, SqlConnection } from './postgres/connect.ts';
export { isDatabaseUnreachable } from './postgres/errors.ts';
export { migrate } from './postgres/migrate.ts';
export type { Migration } from './postgres/migrate.ts';

export { startProjection } from './projection/projection.ts';
export type { EventSource, Projection, ProjectionOptions, ProjectionState } from './projection/projection.ts';
export { ProjectionHaltedError } from './projection/errors.ts';
export { createRebuilds } from './projection/rebuilds.ts';
export type { Rebuildable, RebuildableState, Rebuilds, RebuildStage } from './projection/rebuilds.ts';
export { addProjectionRoutes } from './projection/rebuild-routes.ts';

export { watchConfiguration } from './configuration/watch.ts';
export type {
  ConfigurationListener,
  ConfigurationSource,
  ConfigurationWatch,
} from './configuration/watch.ts';

export { derivedUuid, newUuid } from './ids/uuid.ts';

export { backoff, sleep } from './lifecycle/backoff.ts';
export type { Backoff, BackoffOptions } from './lifecycle/backoff.ts';
export { stopInOrder, untilSignal } from './lifecycle/shutdown.ts';
