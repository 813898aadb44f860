import type { ConfigurationWatch, Metrics } from '@isthmus/service-kit';
import { Gauge } from 'prom-client';
import type { Delivery } from './delivery.ts';
import type { LinkState } from './link-state.ts';
import { clusterPeers } from './link-map.ts';

/**
 * Publishes, per peer, what an operator alarms on: reachable or not, how far behind, how often it failed in a
 * row.
 */
export function publishLinkMetrics(parts: {
  readonly metrics: Metrics;
  readonly configuration: ConfigurationWatch;
  readonly delivery: Pick<Delivery, 'status'>;
  readonly linkState: Pick<LinkState, 'health'>;
  readonly checkpoint: () => number;
}): void {
  const { metrics, configuration, delivery, linkState, checkpoint } = parts;
  const perPeer = (name: string, help: string, value: (peer: string) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['peer'] as const,
      registers: [metrics],
      collect() {
        this.reset();
        for (const peer of clusterPeers(configuration.current())) this.set({ peer }, value(peer));
      },
    });
  };
  perPeer('isthmus_link_reachable', 'Whether the peer answered the last Link State query (1 or 0)', (peer) =>
    linkState.health(peer).reachable ? 1 : 0,
  );
  perPeer('isthmus_link_lag_entries', 'Log entries between the peer’s position and the checkpoint', (peer) =>
    Math.max(0, checkpoint() - delivery.status(peer).position),
  );
  perPeer(
    'isthmus_link_failures',
    'Tries to deliver that failed in a row',
    (peer) => delivery.status(peer).failures,
  );
  perPeer(
    'isthmus_link_updates_sent',
    'Linked updates that the peer acknowledged since start',
    (peer) => delivery.status(peer).sentUpdates,
  );
  perPeer(
    'isthmus_link_clock_offset_ms',
    'The peer’s wall clock minus ours, milliseconds',
    (peer) => linkState.health(peer).clockOffsetMs ?? 0,
  );
}
