import type { DecideContext } from './commands.ts';
import type { Change, ChangeEvent, ChangeType } from './events.ts';
import { nextStamp, observe } from './hlc.ts';
import type { JsonValue, LwwRegister } from './registers.ts';

/** Writes the events and registers of one decision, all under one stamp. */
export interface EventWriter {
  readonly stamp: string;
  /** A register of this decision. @param rank - Never below that of the value which it replaces. */
  register(value: JsonValue, rank: number): LwwRegister;
  event(type: ChangeType, subject: string, change: Change): ChangeEvent;
}

/**
 * @param replaced - The registers that the decision saw and replaces: its stamp is greater than theirs, and
 *   the
 *   greatest of them becomes the events' `basis`.
 */
export function eventWriter(
  context: DecideContext,
  replaced: readonly (LwwRegister | undefined)[],
): EventWriter {
  const basis = observe(...replaced.map((register) => register?.hlc));
  const stamp = nextStamp({
    clock: context.clock,
    nowMs: context.now.getTime(),
    register: basis,
    seen: context.seen,
  });
  const { cluster: origin, correlationid, causationid, traceparent } = context;
  return {
    stamp,
    register: (value, rank) => ({ t: 'lww', value, rank, hlc: stamp, origin }),
    event: (type, subject, change) => ({
      id: context.newId(),
      type,
      source: `${origin}/${context.service ?? 'update-relay'}`,
      subject,
      time: context.now.toISOString(),
      origin,
      hlc: stamp,
      path: [origin],
      ...(basis === '' ? {} : { basis }),
      ...(correlationid === undefined ? {} : { correlationid }),
      ...(causationid === undefined ? {} : { causationid }),
      ...(traceparent === undefined ? {} : { traceparent }),
      v: 1,
      data: change,
    }),
  };
}
