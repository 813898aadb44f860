import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContextLike } from './servers.ts';

/** An empty folder, removed after the test with all that is in it. */
export async function temporaryFolder(test: TestContextLike): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-test-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
