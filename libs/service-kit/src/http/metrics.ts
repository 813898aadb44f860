import { collectDefaultMetrics, Registry } from 'prom-client';

export type Metrics = Registry;

/**
 * A registry of its own per service, since several can share a process; every metric carries `service` and
 * `cluster`.
 */
export function createMetrics(options: { service: string; cluster: string }): Metrics {
  const metrics = new Registry();
  metrics.setDefaultLabels({ service: options.service, cluster: options.cluster });
  collectDefaultMetrics({ register: metrics });
  return metrics;
}
