import type { DecideContext, StudyState } from './commands.ts';
import type { Change, ChangeEvent, ChangeType } from './events.ts';
import { greatestStamp } from './greatest-stamp.ts';
import { isStamp, nextStamp, observe } from './hlc.ts';
import type { JsonValue, LwwRegister } from './registers.ts';

/** Writes the events and registers of one decision, all under one stamp. */
export interface EventWriter {
  readonly stamp: string;
  /** A register that a cluster writes about itself, or that nobody else writes: there is nothing to lose. */
  register(value: JsonValue, rank: number): LwwRegister;
  /**
   * A register that somebody edits: it remembers whose value it replaced.
   * @param rank - Never below that of the value which it replaces.
   */
  edit(value: JsonValue, rank: number, replaced: LwwRegister | undefined): LwwRegister;
  event(type: ChangeType, subject: string, change: Change): ChangeEvent;
}

/**
 * @param replaced - The registers that the decision saw and replaces: its stamp is greater than theirs, and the greatest
 *   of them becomes the events' `basis`.
 * @param edit - Who edits, on which state; for registers that are edited.
 */
export function eventWriter(
  context: DecideContext,
  replaced: readonly (LwwRegister | undefined)[],
  edit: { readonly by?: string | undefined; readonly state?: StudyState } = {},
): EventWriter {
  const basis = observe(...replaced.map((register) => register?.hlc));
  const stamp = nextStamp({
    clock: context.clock,
    nowMs: context.now.getTime(),
    register: basis,
    seen: context.seen,
  });
  const { cluster: origin, correlationid, causationid, traceparent } = context;
  const register = (value: JsonValue, rank: number): LwwRegister => ({
    t: 'lww',
    value,
    rank,
    hlc: stamp,
    origin,
  });
  const elsewhere = seenElsewhere(context.seen, edit.state);
  return {
    stamp,
    register,
    edit: (value, rank, before) => ({
      ...register(value, rank),
      basis: observe(before?.hlc, elsewhere),
      ...(edit.by ? { by: edit.by } : {}),
    }),
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

/**
 * The stamp that the author saw, when it is news here: what he read at another cluster may be a newer value of the very
 * field. An ETag of our own says nothing of one field, since it is the greatest of all.
 */
function seenElsewhere(seen: string | undefined, state: StudyState | undefined): string | undefined {
  if (!isStamp(seen) || !state) return undefined;
  const known = Object.values(state.patients).reduce(
    (greatest, patient) => greatestStamp(patient, greatest),
    greatestStamp(state.study),
  );
  return seen > known ? seen : undefined;
}
