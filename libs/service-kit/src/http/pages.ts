import { Type } from 'typebox';
import type { TSchema } from 'typebox';
import { Problem } from './problem.ts';

/** Fields of the query of a list; spread them into its `querystring`. */
export const pageFields = ({ limitMax, limitDefault }: { limitMax: number; limitDefault: number }) => ({
  limit: Type.Integer({ minimum: 1, maximum: limitMax, default: limitDefault }),
  cursor: Type.Optional(Type.String({ maxLength: 64, description: '`nextCursor` of the page before' })),
});

/** For `response` schemas: one page of a list. */
export const listOf = <Item extends TSchema>(item: Item) =>
  Type.Object({ items: Type.Array(item), nextCursor: Type.Union([Type.String(), Type.Null()]) });

/** One page of a list. */
export interface Page<Item> {
  readonly items: Item[];
  /** Asks for the page after this one; null: this is the last. */
  readonly nextCursor: string | null;
}

/**
 * Where the page before ended, for lists in the order of a sequence in the log: pages neither repeat nor skip while
 * others are added.
 *
 * @returns The sequence of its last row; undefined for the first page.
 * @throws {Problem} 400 the cursor is not one that `pageOf` gave.
 */
export function sequenceOfCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined;
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text);
  throw new Problem(400, undefined, {
    detail: 'cursor is not one that a list here gave.',
    errors: [{ pointer: 'cursor', detail: 'is not one that a list here gave' }],
  });
}

/**
 * A page out of rows of which one more than `limit` was asked for: the one too many says that there is a next page.
 * @param sequenceOf - What the rows are in order of; `sequenceOfCursor` gives back the last one's.
 */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  sequenceOf: (row: Row) => number,
  show: (row: Row) => Item,
): Page<Item> {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const more = last !== undefined && rows.length > limit;
  return {
    items: shown.map(show),
    nextCursor: more ? Buffer.from(String(sequenceOf(last))).toString('base64url') : null,
  };
}
