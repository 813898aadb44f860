import { canonicalJson, configSubject, nextStamp } from '@isthmus/domain';
import type { Configuration, ConfigurationChangedEvent, ConfigurationKind, JsonValue } from '@isthmus/domain';
import type { EventLog } from '@isthmus/event-log';
import type { ConfigurationWatch } from '@isthmus/service-kit';

/** Who asks for a change, why, and under which identity. */
export interface ChangeContext {
  readonly author: string;
  readonly reason: string;
  /** Id of the event. The same id again is the same change. */
  readonly eventId: string;
}

/** The newest event of an entity. `value` is null once it was removed. */
export interface Held {
  readonly value: unknown;
  readonly version: number;
}

export type ChangeOutcome =
  | {
      readonly done: true;
      readonly version: number;
      /** There was none before (or only a removed one). */
      readonly created: boolean;
      /** False: the value was so already, and nothing was written. */
      readonly changed: boolean;
      /** Place of the event in the log; 0 when nothing was written. */
      readonly sequence: number;
      /** Whether this service's own view has it. */
      readonly seen: boolean;
    }
  /** Somebody else changed the entity at the same moment. */
  | { readonly done: false };

export interface ConfigurationStore {
  current(): Configuration;
  /**
   * Changes one entity. Changes are made one after the other.
   *
   * @param decide - Gets the entity as the log has it and the whole configuration at least as new as that;
   *   gives the new value, or null to remove; throws to refuse. Nothing is written then.
   */
  change(
    kind: ConfigurationKind,
    name: string,
    context: ChangeContext,
    decide: (held: Held | undefined, configuration: Configuration) => object | null,
  ): Promise<ChangeOutcome>;
  /** Whether the log has ever known the entity, removed or not. */
  isKnown(kind: ConfigurationKind, name: string): Promise<boolean>;
}

export interface StoreParts {
  readonly eventLog: Pick<EventLog, 'lastOf' | 'appendExpecting'>;
  readonly watch: ConfigurationWatch;
  readonly cluster: string;
  readonly now: () => Date;
  readonly ownViewWaitMs: number;
}

/** The configuration is in the event log (ADR-0003): the newest event of a subject is the entity. */
export function createConfigurationStore(parts: StoreParts): ConfigurationStore {
  const { eventLog, watch, cluster, now, ownViewWaitMs } = parts;
  let clock = '';
  let tail: Promise<unknown> = Promise.resolve();

  const newest = async (kind: ConfigurationKind, name: string) => {
    const stored = await eventLog.lastOf('STUDY', configSubject(kind, name));
    return stored && { sequence: stored.sequence, event: stored.event as ConfigurationChangedEvent };
  };

  const changeNow: ConfigurationStore['change'] = async (kind, name, context, decide) => {
    const stored = await newest(kind, name);
    const last = stored?.event.data;
    if (stored?.event.id === context.eventId) {
      // A retry of a request whose first try was stored before its answer got lost.
      const seen = await waitForVersion(watch, kind, name, stored.event.data.version, ownViewWaitMs);
      const { version } = stored.event.data;
      return { done: true, version, created: version === 1, changed: true, sequence: stored.sequence, seen };
    }
    if (last) await waitForVersion(watch, kind, name, last.version, ownViewWaitMs);
    const present = last && last.value !== null ? last : undefined;
    const value = decide(last, watch.current());
    if (sameValue(present?.value ?? null, value)) {
      return {
        done: true,
        version: last?.version ?? 0,
        created: false,
        changed: false,
        sequence: 0,
        seen: true,
      };
    }
    const at = now();
    clock = nextStamp({ clock, nowMs: at.getTime(), register: stored?.event.hlc });
    const version = (last?.version ?? 0) + 1;
    const event: ConfigurationChangedEvent = {
      id: context.eventId,
      type: 'ConfigurationChanged',
      source: `${cluster}/config-store`,
      subject: `${kind}/${name}`,
      time: at.toISOString(),
      origin: cluster,
      hlc: clock,
      path: [cluster],
      ...(stored ? { basis: stored.event.hlc } : {}),
      v: 1,
      data: { kind, name, value, version, author: context.author, reason: context.reason },
    };
    const appended = await eventLog.appendExpecting(configSubject(kind, name), event, stored?.sequence ?? 0);
    if (!appended.ok) return { done: false };
    const seen = await waitForVersion(watch, kind, name, version, ownViewWaitMs);
    return { done: true, version, created: !present, changed: true, sequence: appended.sequence, seen };
  };

  return {
    current: () => watch.current(),
    change: (...change) => {
      const turn = tail.then(() => changeNow(...change));
      tail = turn.catch(() => undefined);
      return turn;
    },
    isKnown: async (kind, name) => (await newest(kind, name)) !== undefined,
  };
}

function sameValue(one: unknown, other: unknown): boolean {
  return canonicalJson(one as JsonValue) === canonicalJson(other as JsonValue);
}

/** @returns Whether the version was seen within the time. */
function waitForVersion(
  watch: ConfigurationWatch,
  kind: ConfigurationKind,
  name: string,
  version: number,
  timeoutMs: number,
): Promise<boolean> {
  const has = (configuration: Configuration): boolean =>
    (configuration.versions.get(`${kind}/${name}`) ?? 0) >= version;
  if (has(watch.current())) return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (seen: boolean): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(seen);
    };
    const timer = setTimeout(() => settle(false), timeoutMs);
    const unsubscribe = watch.onChange((configuration) => {
      if (has(configuration)) settle(true);
    });
  });
}
