/** What we know of a peer from asking it. */
export interface PeerHealth {
  /** The last Link State exchange that we began succeeded. */
  readonly reachable: boolean;
  /** It has answered Link State since this process started: it speaks our syntax, so updates may be sent. */
  readonly answered: boolean;
  /** Last exchange, begun by either side. Wall clock, ms. */
  readonly lastContactMs: number | undefined;
  readonly lastError: string | undefined;
  readonly nextAttemptMs: number | undefined;
  readonly updateFormat: number | undefined;
  readonly incarnation: string | undefined;
  readonly capabilities: readonly string[];
  /** Its wall clock minus ours, ms, give or take half the round trip. */
  readonly clockOffsetMs: number | undefined;
  readonly roundTripMs: number | undefined;
}

const unknownPeer: PeerHealth = {
  reachable: false,
  answered: false,
  lastContactMs: undefined,
  lastError: undefined,
  nextAttemptMs: undefined,
  updateFormat: undefined,
  incarnation: undefined,
  capabilities: [],
  clockOffsetMs: undefined,
  roundTripMs: undefined,
};

/** What is known of every peer, in memory: a restart asks anew. */
export interface PeerHealths {
  of(peer: string): PeerHealth;
  note(peer: string, facts: Partial<PeerHealth>): void;
}

export function createPeerHealths(): PeerHealths {
  const known = new Map<string, PeerHealth>();
  const of = (peer: string): PeerHealth => known.get(peer) ?? unknownPeer;
  return { of, note: (peer, facts) => void known.set(peer, { ...of(peer), ...facts }) };
}
