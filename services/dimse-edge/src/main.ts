import './runtime.ts';
import { connectEventLog } from '@isthmus/event-log';
import { createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { startDimseEdge } from './app.ts';
import { dimseEdgeConfig } from './config.ts';
import { logOutput } from './log-output.ts';

// Signals first: one that comes while we start must not be lost.
const signal = untilSignal();
const config = readConfig(dimseEdgeConfig, process.env);
const { ISTHMUS_CLUSTER: cluster, NATS_URL, LOG_LEVEL: level } = config;
const service = 'dimse-edge';
const log = createLog({ service, cluster, level, destination: logOutput() });

// The record first: nothing is taken in before it can be written down.
const eventLog = await connectEventLog({ servers: NATS_URL, cluster, service, log });
const edge = await startDimseEdge({ config, log, eventLog });

log.info({ signal: await signal }, 'stopping');
// Peers first, the log last: what is under way still needs it.
await stopInOrder(log, [
  ['dimse-edge', () => edge.stop()],
  ['event log', () => eventLog.close()],
]);
