import { Problem } from './problem.ts';

interface WithHeaders {
  readonly headers: { readonly [name: string]: string | string[] | undefined };
}

/** A version or stamp as an ETag (RFC 9110 §8.8.3), strong. */
export function etagOf(version: number | string): string {
  return `"${version}"`;
}

/**
 * Guards a write on an entity that must not be overwritten unseen: an existing one needs `If-Match` with its
 * present ETag, a new one must come without.
 *
 * @param present - ETag of the entity now; undefined when there is none.
 * @throws {Problem} 428 when `If-Match` is missing, 412 when it names another version, or any while there is
 * no entity.
 */
export function requireIfMatch(request: WithHeaders, present: string | undefined): void {
  const given = headerOf(request, 'if-match');
  if (present !== undefined && headerOf(request, 'if-none-match') === '*')
    throw stale('It exists already.', present);
  if (given === undefined) {
    if (present === undefined) return;
    const detail = 'Read it first, then send If-Match with the ETag that you got.';
    throw new Problem(428, undefined, { detail, code: 'IF_MATCH_REQUIRED', headers: { etag: present } });
  }
  checkIfMatch(request, present);
}

/**
 * Guards a write that may, but need not, say which version it was decided on.
 * @throws {Problem} 412 when `If-Match` is there and does not name the present version.
 */
export function checkIfMatch(request: WithHeaders, present: string | undefined): void {
  const given = headerOf(request, 'if-match');
  if (given === undefined) return;
  if (present === undefined) throw stale('It does not exist (any more).', undefined);
  const tags = given.split(',').map((tag) => tag.trim());
  if (!tags.includes('*') && !tags.includes(present)) {
    throw stale('It was changed since you read it. Read it again and decide anew.', present);
  }
}

function stale(detail: string, present: string | undefined): Problem {
  const headers: Record<string, string> = present === undefined ? {} : { etag: present };
  return new Problem(412, undefined, { detail, code: 'STALE', headers });
}

function headerOf(request: WithHeaders, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}
