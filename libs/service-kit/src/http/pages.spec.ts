import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { pageOf, Problem, sequenceOfCursor } from '../index.ts';

const sequences = [9, 7, 5, 3, 1];

/** Reads as a list of a service does: newest first, one row more than the page holds. */
function read(limit: number, cursor?: string) {
  const before = sequenceOfCursor(cursor) ?? Infinity;
  const rows = sequences.filter((sequence) => sequence < before).slice(0, limit + 1);
  return pageOf(
    rows,
    limit,
    (row) => row,
    (row) => `no. ${row}`,
  );
}

describe('pages of a list', () => {
  it('give every row once, and no cursor with the last page', () => {
    const pages: string[][] = [];
    let cursor: string | undefined;
    do {
      const page = read(2, cursor);
      pages.push(page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    assert.deepEqual(pages, [['no. 9', 'no. 7'], ['no. 5', 'no. 3'], ['no. 1']]);
  });

  it('end where a full page was the last one', () => {
    assert.deepEqual(read(5).nextCursor, null);
    assert.deepEqual(pageOf([], 5, Number, Number), { items: [], nextCursor: null });
  });

  it('refuse with 400 a cursor that no list gave', () => {
    const encoded = ['0', '-1', '1.5', '1e3', ' 7', 'x', '9'.repeat(16)].map((text) =>
      Buffer.from(text).toString('base64url'),
    );
    for (const cursor of ['', '7', 'x', ...encoded])
      assert.throws(
        () => sequenceOfCursor(cursor),
        (error) =>
          error instanceof Problem && error.status === 400 && error.errors?.[0]?.pointer === 'cursor',
        cursor,
      );
  });
});
