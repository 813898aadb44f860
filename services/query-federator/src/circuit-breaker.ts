/**
 * Leaves a peer alone after several failures in a row, and lets one query try again after a pause. Per peer, in memory:
 * a service that starts anew tries every peer once.
 */
export interface CircuitBreaker {
  /** Whether to ask now. When a pause is over, true for one caller only, until it reports how it went. */
  admits(peer: string): boolean;
  /** Whether the peer is being left alone now. */
  isOpen(peer: string): boolean;
  succeeded(peer: string): void;
  failed(peer: string): void;
}

interface State {
  failures: number;
  /** Monotonic milliseconds; nobody asks before. */
  closedUntil: number;
}

/** @param options.now - Monotonic clock, milliseconds. */
export function circuitBreaker(options: {
  readonly failuresMax: number;
  readonly pauseMs: number;
  readonly now: () => number;
}): CircuitBreaker {
  const states = new Map<string, State>();
  return {
    admits(peer) {
      const state = states.get(peer);
      if (!state || state.failures < options.failuresMax) return true;
      if (options.now() < state.closedUntil) return false;
      state.closedUntil = options.now() + options.pauseMs;
      return true;
    },
    isOpen(peer) {
      const state = states.get(peer);
      return (
        state !== undefined && state.failures >= options.failuresMax && options.now() < state.closedUntil
      );
    },
    succeeded(peer) {
      states.delete(peer);
    },
    failed(peer) {
      const failures = (states.get(peer)?.failures ?? 0) + 1;
      states.set(peer, { failures, closedUntil: options.now() + options.pauseMs });
    },
  };
}
