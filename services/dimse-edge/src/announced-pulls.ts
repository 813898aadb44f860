import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { objectStoreError } from './errors.ts';
import type { EdgeProcesses } from './edge-processes.ts';
import type { Arrival, PullFacts } from './pulls.ts';

/** A pull of another process. */
export interface OthersPull extends PullFacts {
  readonly process: string;
}

/**
 * Lets every process know the pulls of the others: the objects of a C-MOVE to ourselves come to whichever process takes
 * the connection.
 */
export interface AnnouncedPulls {
  /**
   * Resolves when an object that comes from now on, wherever, is known to belong to the pull.
   * @returns Takes it back; never rejects.
   * @throws {ObjectStoreFullError} {@link ObjectStoreFailedError}
   */
  announce(pull: PullFacts): Promise<() => Promise<void>>;
  /** Pulls of a study by other processes. */
  ofOthers(studyInstanceUid: string): Promise<readonly OthersPull[]>;
  /** Tells those processes of an object that is durable now; resolves when they know. Never rejects. */
  tell(pulls: readonly OthersPull[], arrival: Arrival): Promise<void>;
}

/**
 * A pull is a small file in `pulls/` of the object store, there before its C-MOVE is sent. What the processes share is a
 * directory anyway; a message could be late, and a process that starts in between would not have heard it.
 *
 * Opening removes what dead processes left.
 * @param processes - Of which the owner's name is a part of each file's name.
 */
export async function openAnnouncedPulls(
  root: string,
  processes: Pick<EdgeProcesses, 'id' | 'isAlive' | 'tell'>,
): Promise<AnnouncedPulls> {
  const directory = join(root, 'pulls');
  let made = 0;
  const files = async (): Promise<{ name: string; study: string; process: string }[]> =>
    (await readdir(directory)).map((name) => {
      const [study = '', process = ''] = name.split('.');
      return { name, study, process };
    });
  const remove = (name: string): Promise<void> => unlink(join(directory, name)).catch(() => {});

  try {
    await mkdir(directory, { recursive: true });
    const owners = new Map<string, boolean>();
    for (const { name, process } of await files()) {
      const alive = owners.get(process) ?? (await processes.isAlive(process));
      owners.set(process, alive);
      if (!alive) await remove(name);
    }
  } catch (error) {
    throw objectStoreError(error);
  }

  return {
    announce: async (pull) => {
      const name = `${studyKey(pull.studyInstanceUid)}.${processes.id}.${(made += 1)}`;
      try {
        // Under another study key first: nobody may read it before it is whole.
        const draft = join(directory, `draft.${processes.id}.${made}`);
        await writeFile(draft, JSON.stringify(pull), { flag: 'wx', mode: 0o640 });
        await rename(draft, join(directory, name));
      } catch (error) {
        throw objectStoreError(error);
      }
      return () => remove(name);
    },
    ofOthers: async (studyInstanceUid) => {
      const key = studyKey(studyInstanceUid);
      const found = (await files()).filter((one) => one.study === key && one.process !== processes.id);
      const pulls = await Promise.all(
        found.map(async ({ name, process }) => {
          // Taken back a moment ago.
          const text = await readFile(join(directory, name), 'utf8').catch(() => undefined);
          return text === undefined ? [] : [{ ...(JSON.parse(text) as PullFacts), process }];
        }),
      );
      return pulls.flat();
    },
    tell: async (pulls, arrival) => {
      const owners = new Set(pulls.map((pull) => pull.process));
      await Promise.all([...owners].map((process) => processes.tell(process, arrival)));
    },
  };
}

function studyKey(studyInstanceUid: string): string {
  return createHash('sha256').update(studyInstanceUid, 'latin1').digest('hex').slice(0, 32);
}
