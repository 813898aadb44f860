import { createHash, randomBytes } from 'node:crypto';

import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream';
import type { JetStreamManager, StreamConfig, StreamInfo } from '@nats-io/jetstream';

import type { EventLogLogger } from './capabilities.ts';
import { EventLogError, StreamMismatchError } from './errors.ts';
import type { ServerCapabilities, StreamName } from './event-log.ts';

const gibibyte = 1024 ** 3;
const secondNs = 1e9;
const streamNameInUse = 10058;
const noRoom = 10047;
const incarnationKey = 'isthmus.incarnation';

/** Limits of the streams; the rest of their settings is not for choosing. */
export interface StreamLimits {
  /** Appends are refused beyond it. @default 2 GiB */
  readonly studyBytesMax?: number;
  /** @default 1 GiB */
  readonly instancesBytesMax?: number;
  /** @default 30 */
  readonly instancesDaysMax?: number;
  /** 3 in production, with three servers. @default 1 */
  readonly replicas?: number;
}

export const streamNames: readonly StreamName[] = ['STUDY', 'INSTANCES'];

const subjects: Readonly<Record<StreamName, readonly string[]>> = {
  STUDY: ['study.>', 'patient.>', 'order.>', 'config.>'],
  INSTANCES: ['instance.>'],
};

/** The stream that stores a subject, or undefined. */
export function streamOf(subject: string): StreamName | undefined {
  return streamNames.find((name) =>
    subjects[name].some((pattern) => subject.startsWith(pattern.slice(0, -1))),
  );
}

/** Settings that decide whether what was acknowledged stays. */
function wanted(
  name: StreamName,
  limits: StreamLimits,
  capabilities: ServerCapabilities,
): Partial<StreamConfig> {
  const instances = name === 'INSTANCES';
  return {
    name,
    subjects: [...subjects[name]],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    // A full log must refuse; the default throws the oldest events away.
    discard: DiscardPolicy.New,
    deny_delete: true,
    deny_purge: true,
    num_replicas: limits.replicas ?? 1,
    duplicate_window: 120 * secondNs,
    max_bytes: instances ? (limits.instancesBytesMax ?? gibibyte) : (limits.studyBytesMax ?? 2 * gibibyte),
    max_age: instances ? (limits.instancesDaysMax ?? 30) * 86_400 * secondNs : 0,
    max_msgs: -1,
    max_msgs_per_subject: -1,
    ...(capabilities.atomicBatch ? { allow_atomic: true } : {}),
  };
}

/** What the server has of one stream. */
export interface EnsuredStream {
  readonly incarnation: string;
  readonly allowsAtomic: boolean;
}

/**
 * Creates a stream, or brings an existing one to what is wanted, and compares what the server made of it.
 * Services of one cluster do this at the same time; the first wins.
 *
 * @throws {StreamMismatchError} The stream differs in something that decides whether events stay.
 */
export async function ensureStream(
  jsm: JetStreamManager,
  name: StreamName,
  limits: StreamLimits,
  capabilities: ServerCapabilities,
  log: EventLogLogger,
): Promise<EnsuredStream> {
  const asked = wanted(name, limits, capabilities);
  let info = (await existing(jsm, name)) ?? (await create(jsm, asked, capabilities));
  if (differences(asked, info.config).length > 0) info = await update(jsm, asked, info);
  const left = differences(asked, info.config);
  const soft = left.filter((key) => softSettings.has(key));
  if (left.length > soft.length) {
    throw new StreamMismatchError(
      name,
      left.filter((key) => !softSettings.has(key)),
    );
  }
  if (soft.length > 0)
    log.warn({ stream: name, settings: soft }, 'event log: the stream keeps other settings than asked for');
  return { incarnation: incarnationOf(info), allowsAtomic: info.config.allow_atomic === true };
}

/** A different value here costs speed or room, not events. */
const softSettings = new Set(['allow_atomic', 'duplicate_window', 'max_bytes', 'num_replicas']);

/**
 * Names this life of a stream. From 2.10 it is a random mark in the stream's metadata; 2.9 stores no
 * metadata, there the moment of creation serves. A stream made by 2.9 keeps its name when the server is
 * upgraded.
 */
export function incarnationOf(info: StreamInfo): string {
  const mark = info.config.metadata?.[incarnationKey];
  return (
    mark ?? createHash('sha256').update(`${info.config.name} ${info.created}`).digest('hex').slice(0, 12)
  );
}

async function existing(jsm: JetStreamManager, name: StreamName): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
      return undefined;
    throw error;
  }
}

async function create(
  jsm: JetStreamManager,
  asked: Partial<StreamConfig>,
  capabilities: ServerCapabilities,
): Promise<StreamInfo> {
  const name = asked.name as StreamName;
  // Metadata came with 2.10, as `sync_interval` did.
  const metadata = capabilities.syncAlways
    ? { metadata: { [incarnationKey]: randomBytes(6).toString('hex') } }
    : {};
  try {
    return await jsm.streams.add({ ...asked, ...metadata, name });
  } catch (error) {
    const raced = error instanceof JetStreamApiError && error.code === streamNameInUse;
    const other = raced ? await existing(jsm, name) : undefined;
    if (other !== undefined) return other;
    if (!(error instanceof JetStreamApiError) || error.code !== noRoom) throw error;
    throw new EventLogError(
      'log-no-room',
      `nats-server has no room for the stream ${name} of ${asked.max_bytes} bytes: ${error.message}`,
      'Give its disk more room, raise max_file_store, or ask for smaller streams',
      { cause: error },
    );
  }
}

async function update(
  jsm: JetStreamManager,
  asked: Partial<StreamConfig>,
  info: StreamInfo,
): Promise<StreamInfo> {
  const name = asked.name as StreamName;
  try {
    return await jsm.streams.update(name, { ...info.config, ...asked });
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError)) throw cause;
    const hard = differences(asked, info.config).filter((key) => !softSettings.has(key));
    if (hard.length > 0) throw new StreamMismatchError(name, [...hard, cause.message], { cause });
    return info;
  }
}

function differences(asked: Partial<StreamConfig>, got: StreamConfig): string[] {
  const have = got as unknown as Record<string, unknown>;
  return Object.entries(asked)
    .filter(([key, value]) => JSON.stringify(sorted(have[key])) !== JSON.stringify(sorted(value)))
    .map(([key]) => key);
}

function sorted(value: unknown): unknown {
  return Array.isArray(value) ? [...(value as unknown[])].sort() : value;
}
