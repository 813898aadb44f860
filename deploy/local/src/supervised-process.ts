import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, type WriteStream } from 'node:fs';

export interface ProcessSpec {
  /** For people: `north/dimse-edge`. */
  readonly name: string;
  /** Source file that Node runs. */
  readonly script: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Called with a sentence whenever a person should know. */
  readonly report: (message: string) => void;
  readonly onPid?: (pid: number | undefined) => void;
}

const restartDelayMs = { first: 250, max: 10_000 };
/** A process that lived this long was well: its next crash starts from the first delay again. */
const wellAfterMs = 30_000;
const stopGraceMs = 1_500;

/**
 * A Node process that is started again when it dies, with back-off, and says so by name. Its output goes to a log file.
 * On Linux it dies with us (`setpriv --pdeathsig`), however we die.
 */
export class SupervisedProcess {
  readonly #spec: ProcessSpec;
  readonly #log: WriteStream;
  #child: ChildProcess | undefined;
  #stopping = false;
  #delayMs = restartDelayMs.first;
  #timer: NodeJS.Timeout | undefined;

  constructor(spec: ProcessSpec) {
    this.#spec = spec;
    this.#log = createWriteStream(spec.logFile, { flags: 'a' });
    this.#start();
  }

  get name(): string {
    return this.#spec.name;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  #start(): void {
    const { script, args, env } = this.#spec;
    const startedAt = performance.now();
    const node = [process.execPath, '--disable-warning=ExperimentalWarning', script, ...(args ?? [])];
    const command = process.platform === 'linux' ? ['setpriv', '--pdeathsig', 'KILL', ...node] : node;
    const child = spawn(command[0]!, command.slice(1), {
      env: { ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stdout.pipe(this.#log, { end: false });
    child.stderr.pipe(this.#log, { end: false });
    let ended = false;
    const onEnd = (reason: string): void => {
      if (ended) return;
      ended = true;
      this.#spec.onPid?.(undefined);
      if (this.#stopping) return;
      if (performance.now() - startedAt > wellAfterMs) this.#delayMs = restartDelayMs.first;
      this.#spec.report(
        `${this.#spec.name} ended (${reason}); starting it again in ${this.#delayMs} ms. Log: ${this.#spec.logFile}`,
      );
      this.#timer = setTimeout(() => this.#start(), this.#delayMs);
      this.#delayMs = Math.min(this.#delayMs * 2, restartDelayMs.max);
    };
    child.once('exit', (code, signal) => onEnd(signal ?? `exit code ${code}`));
    child.once('error', (error) => onEnd(error.message));
    this.#spec.onPid?.(child.pid);
  }

  /** Asks the process to end; after 1.5 s it is killed. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      const kill = setTimeout(() => child.kill('SIGKILL'), stopGraceMs);
      await exited;
      clearTimeout(kill);
    }
    await new Promise((resolve) => this.#log.end(resolve));
  }
}
