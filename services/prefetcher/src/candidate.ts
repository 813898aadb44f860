import type { Choice } from './prior.ts';

/**
 * What is to be done for one study. `retrieve`: pull it here. `send`: it is here, and goes to the cluster
 * that reads. `retrieve-and-send`: both. `none`: nothing.
 */
export type PrefetchAction = 'retrieve' | 'send' | 'retrieve-and-send' | 'none';

export interface PrefetchSource {
  /** Name of the link. */
  readonly peer: string;
  readonly aeTitle: string;
}

/** A study that was considered, with what follows for it. */
export interface Candidate extends Choice {
  readonly action: PrefetchAction;
  /** Where to pull it from, best first; only peers whose Link Prefetching lets us. */
  readonly sources: readonly PrefetchSource[];
  /** It was chosen and nothing can be done now, but perhaps later: the job tries again. */
  readonly blocked: boolean;
}

/** A candidate as the interface shows it. */
export interface CandidateView {
  readonly studyInstanceUid: string;
  readonly studyDate: string;
  readonly studyDescription: string;
  readonly modalities: readonly string[];
  readonly instanceCount?: number;
  readonly holders: readonly string[];
  readonly chosen: boolean;
  readonly action: PrefetchAction;
  readonly why: string;
  /** What became of it in the last try; absent while nothing was tried. */
  readonly outcome?: 'done' | 'failed';
  readonly detail?: string;
}

export function candidateView(
  candidate: Candidate,
  result?: { readonly outcome: 'done' | 'failed'; readonly detail?: string | undefined },
): CandidateView {
  const { prior, chosen, action, why } = candidate;
  return {
    studyInstanceUid: prior.studyInstanceUid,
    studyDate: prior.studyDate,
    studyDescription: prior.studyDescription,
    modalities: prior.modalities,
    ...(prior.instanceCount === undefined ? {} : { instanceCount: prior.instanceCount }),
    holders: prior.holders.map(({ cluster }) => cluster),
    chosen,
    action,
    why,
    ...(result ? { outcome: result.outcome } : {}),
    ...(result?.detail === undefined ? {} : { detail: result.detail }),
  };
}
