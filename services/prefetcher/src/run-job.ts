import { requestSubjects } from '@isthmus/domain';
import type { RetrieveAnswer, RetrieveRequest, SendAnswer, SendRequest } from '@isthmus/domain';
import { candidateView } from './candidate.ts';
import type { Candidate, CandidateView } from './candidate.ts';
import { findCandidates } from './find-candidates.ts';
import type { FindCandidatesParts, PrefetchWanted } from './find-candidates.ts';
import { destinationOf } from './reach.ts';

export interface RunJobParts extends FindCandidatesParts {
  readonly transferDeadlineMs: number;
  readonly transferSilenceMs: number;
}

export interface JobResult {
  /** Every chosen prior is where it will be read, and every cluster that may have one has answered. */
  readonly done: boolean;
  /** Why it is not. */
  readonly reason?: string;
  readonly priors: readonly CandidateView[];
}

/**
 * Does what an order needs now: finds the priors and brings those that are chosen to where they will be
 * read, one after the other. May be done again at any time: what is there already is passed over.
 *
 * @throws When another service cannot be asked at all; nothing is lost by trying again.
 */
export async function runJob(
  wanted: PrefetchWanted,
  parts: RunJobParts,
  signal: AbortSignal,
): Promise<JobResult> {
  const { candidates, silent } = await findCandidates(wanted, parts, signal);
  const problems: string[] = [];
  const priors: CandidateView[] = [];
  for (const candidate of candidates) {
    signal.throwIfAborted();
    const result = await bring(candidate, wanted, parts, signal);
    if (result?.outcome === 'failed') problems.push(result.detail);
    priors.push(candidateView(candidate, result));
  }
  if (silent.length > 0) problems.push(`no answer from ${silent.join(', ')}`);
  if (problems.length === 0) return { done: true, priors };
  return { done: false, reason: [...new Set(problems)].join('; ').slice(0, 500), priors };
}

type Brought = { readonly outcome: 'done' } | { readonly outcome: 'failed'; readonly detail: string };

async function bring(
  candidate: Candidate,
  wanted: PrefetchWanted,
  parts: RunJobParts,
  signal: AbortSignal,
): Promise<Brought | undefined> {
  if (candidate.blocked) return { outcome: 'failed', detail: candidate.why };
  if (candidate.action === 'none') return undefined;
  const studyInstanceUid = candidate.prior.studyInstanceUid;
  if (candidate.action !== 'send') {
    const pulled = await retrieve(studyInstanceUid, candidate, parts, signal);
    if (pulled.outcome === 'failed' || candidate.action === 'retrieve') return pulled;
  }
  const destination = destinationOf(parts.configuration(), wanted.readAt);
  if ('obstacle' in destination) return { outcome: 'failed', detail: destination.obstacle };
  return send(studyInstanceUid, destination.aeTitle, parts, signal);
}

async function retrieve(
  studyInstanceUid: string,
  candidate: Candidate,
  parts: RunJobParts,
  signal: AbortSignal,
): Promise<Brought> {
  const request: RetrieveRequest = {
    studyInstanceUid,
    sources: candidate.sources,
    reason: 'prefetch',
    deadlineMs: parts.transferDeadlineMs,
  };
  const options = { timeoutMs: parts.transferSilenceMs, signal };
  const answers = parts.requests.askStream<RetrieveRequest, RetrieveAnswer>(
    requestSubjects.retrieve,
    request,
    options,
  );
  for await (const answer of answers) {
    if (!('done' in answer)) continue;
    if (answer.done.outcome === 'complete') return { outcome: 'done' };
    return { outcome: 'failed', detail: answer.done.detail ?? `retrieval was ${answer.done.outcome}` };
  }
  return { outcome: 'failed', detail: 'retrieval ended without an outcome' };
}

async function send(
  studyInstanceUid: string,
  aeTitle: string,
  parts: RunJobParts,
  signal: AbortSignal,
): Promise<Brought> {
  const request: SendRequest = {
    aeTitle,
    studyInstanceUid,
    reason: 'prefetch',
    deadlineMs: parts.transferDeadlineMs,
  };
  const options = { timeoutMs: parts.transferSilenceMs, signal };
  const answers = parts.requests.askStream<SendRequest, SendAnswer>(requestSubjects.send, request, options);
  for await (const answer of answers) {
    if (!('done' in answer)) continue;
    if (answer.done.outcome === 'complete') return { outcome: 'done' };
    return {
      outcome: 'failed',
      detail: answer.done.detail ?? `sending to ${aeTitle} was ${answer.done.outcome}`,
    };
  }
  return { outcome: 'failed', detail: 'sending ended without an outcome' };
}
