import { randomUUID } from 'node:crypto';
import type { EventLog } from '@isthmus/event-log';
import type { Log } from '@isthmus/service-kit';
import type { Arrival } from './pulls.ts';

/** C-STORE waits no longer than this for the process whose pull the object belongs to. */
const tellMs = 2_000;

/** The processes of an edge that share an object store. They know each other by what they put there, and by name. */
export interface EdgeProcesses {
  /** Of this process; another one after each start. */
  readonly id: string;
  /** False only when certainly nobody of that name is there. */
  isAlive(id: string): Promise<boolean>;
  /** Tells another process of an object that has become durable. @returns False: that process is gone. */
  tell(id: string, arrival: Arrival): Promise<boolean>;
  stop(): Promise<void>;
}

type ToProcess = { readonly arrival?: Arrival };

/**
 * Answers for this process: that it lives, and what others tell it.
 * @param parts.onArrival - An object was stored by another process, for a pull of this one.
 */
export function joinEdgeProcesses(parts: {
  readonly eventLog: Pick<EventLog, 'requests'>;
  readonly log: Log;
  readonly onArrival: (arrival: Arrival) => void;
}): EdgeProcesses {
  const { requests } = parts.eventLog;
  const id = randomUUID();
  const stop = requests.answer<ToProcess, object>(subjectOf(id), async ({ payload }) => {
    if (payload.arrival) parts.onArrival(payload.arrival);
    return {};
  });
  const ask = async (other: string, payload: ToProcess): Promise<boolean> => {
    try {
      await requests.ask<ToProcess, object>(subjectOf(other), payload, { timeoutMs: tellMs });
    } catch (error) {
      const { code, message: why } = error as Error & { code?: unknown };
      if (code === 'no-responder') return false;
      parts.log.warn({ process: other, code, why }, 'another process of this edge does not answer');
    }
    return true;
  };
  return { id, isAlive: (other) => ask(other, {}), tell: (other, arrival) => ask(other, { arrival }), stop };
}

function subjectOf(id: string): string {
  return `dimse.process.${id}`;
}
