import type { FastifyRequest } from 'fastify';

const authorCharactersMax = 64;
const reasonCharactersMax = 500;

/** Who asks, as the console says it in `X-Isthmus-User`. */
export function authorOf(request: FastifyRequest): string {
  return headerText(request, 'x-isthmus-user', authorCharactersMax) ?? 'anonymous';
}

/** Why: the body's `reason`, else the header `X-Reason`. */
export function reasonOf(request: FastifyRequest): string {
  const body = request.body as { reason?: string } | undefined;
  return body?.reason ?? headerText(request, 'x-reason', reasonCharactersMax) ?? '';
}

/** HTTP reads header bytes as Latin-1; what people type is UTF-8. */
function headerText(request: FastifyRequest, name: string, charactersMax: number): string | undefined {
  const raw = request.headers[name];
  if (typeof raw !== 'string') return undefined;
  const text = Buffer.from(raw, 'latin1').toString('utf8');
  const clean = text.replace(/\p{Cc}/gu, ' ').trim();
  return clean === '' ? undefined : clean.slice(0, charactersMax);
}
