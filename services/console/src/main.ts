import { createLog, readConfig, stopInOrder, untilSignal } from '@isthmus/service-kit';
import { consoleConfig, startConsole } from './app.ts';

const signal = untilSignal();
const config = readConfig(consoleConfig, process.env);
const log = createLog({ service: 'console', cluster: config.ISTHMUS_CLUSTER, level: config.LOG_LEVEL });

const app = await startConsole({ config, log });

log.info({ signal: await signal }, 'stopping');
await stopInOrder(log, [['console', () => app.stop()]]);
