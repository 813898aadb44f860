import { requestJson } from '@isthmus/testing';

/** What a RIS or a script does with a cluster's REST interface. */
export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly body: Body;
  readonly etag: string | null;
}

/** One request to a cluster's console. Never throws for a status; the body is JSON or empty. */
export async function call<Body = Record<string, never>>(
  origin: string,
  method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<Body>> {
  const answer = await requestJson<Body>(method, `${origin}${path}`, body, headers);
  return { status: answer.status, body: answer.body, etag: answer.headers.get('etag') };
}

/** The parts of a study that the tests look at (docs/reference; design of the REST study). */
export interface StudyBody {
  readonly studyInstanceUid: string;
  readonly patient: { readonly id: string; readonly issuer: string; readonly name?: string };
  readonly instanceCount: number;
  readonly reportStatus: string;
  readonly patientLocation?: string;
  readonly comments: readonly { readonly text: string }[];
  readonly holders: readonly {
    readonly cluster: string;
    readonly complete: boolean;
    readonly instanceCount: number;
  }[];
}

export function getStudy(origin: string, uid: string): Promise<Answer<StudyBody>> {
  return call<StudyBody>(origin, 'GET', `/api/v1/studies/${uid}`);
}

export function setReportStatus(
  origin: string,
  uid: string,
  status: string,
  more: object = {},
): Promise<Answer> {
  return call(origin, 'PUT', `/api/v1/studies/${uid}/report-status`, { status, ...more });
}

export interface LinkBody {
  readonly peer: string;
  readonly enabled: boolean;
  readonly internalQueries: { readonly in: boolean; readonly out: boolean };
  readonly externalQueries: { readonly in: boolean; readonly out: boolean };
  readonly updates: { readonly in: boolean; readonly out: boolean };
  readonly prefetching: { readonly in: boolean; readonly out: boolean };
}

/** Changes some options of a link, with the ETag that a careful client sends. */
export async function changeLink(origin: string, peer: string, change: Partial<LinkBody>): Promise<Answer> {
  const { body, etag } = await call<LinkBody>(origin, 'GET', `/api/v1/links/${peer}`);
  return call(origin, 'PUT', `/api/v1/links/${peer}`, { ...body, ...change }, { 'if-match': etag ?? '' });
}
