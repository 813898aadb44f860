/** What a service answered. */
export interface JsonAnswer<Body> {
  readonly status: number;
  readonly headers: Headers;
  /** The answer as it came. */
  readonly text: string;
  /** `text` parsed, `undefined` when it is not JSON. Its type is what the caller expects; nothing checks it. */
  readonly body: Body;
}

/** The parts of problem documents (RFC 9457) that tests look at. */
export interface ProblemBody {
  readonly code?: string;
  readonly detail?: string;
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
}

/** A page of a list. */
export interface PageBody<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/**
 * One request with a JSON body or none. Never throws for a status.
 * @throws {TypeError} Nobody answers.
 * @throws {SyntaxError} The answer says that it is JSON and is not.
 */
export async function requestJson<Body>(
  method: string,
  url: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<JsonAnswer<Body>> {
  const answer = await fetch(url, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  const isJson = /\bjson\b/.test(answer.headers.get('content-type') ?? '');
  return {
    status: answer.status,
    headers: answer.headers,
    text,
    body: (isJson && text !== '' ? JSON.parse(text) : undefined) as Body,
  };
}
