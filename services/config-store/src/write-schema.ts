/**
 * Writes `cluster.schema.json` beside the sources: `node src/write-schema.ts`. A spec compares it with
 * `schemas.ts`.
 */
import { writeFileSync } from 'node:fs';
import { clusterFileSchema } from './schemas.ts';

writeFileSync(
  new URL('../cluster.schema.json', import.meta.url),
  `${JSON.stringify(clusterFileSchema, null, 2)}\n`,
);
