import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { BlockCoverage } from './coverage.ts';
import { minimise } from './minimise.ts';
import { Mutator } from './mutation.ts';
import { Random } from './random.ts';
import { Failure, words } from './target.ts';
import type { Target } from './target.ts';
import type { Watchdog } from './watchdog.ts';

export interface FuzzOptions {
  readonly target: Target;
  readonly inputs: number;
  readonly seed: number;
  /** Known inputs besides the target's seeds. */
  readonly corpus: readonly Buffer[];
  readonly coverage: BlockCoverage;
  readonly watchdog: Pick<Watchdog, 'begin'>;
  /** Told every few seconds. */
  readonly progress: (facts: FuzzFacts) => void;
}

export interface FuzzFacts {
  readonly inputs: number;
  readonly inputsPerSecond: number;
  /** Inputs that reached new code or a new answer. */
  readonly found: number;
  readonly coveredCharacters: number;
  readonly answers: number;
  /** The slowest input, in ms of processor time. */
  readonly slowestMs: number;
}

export interface FoundFailure {
  readonly error: Failure;
  readonly input: Buffer;
}

export interface FuzzResult {
  readonly facts: FuzzFacts;
  /** Inputs that reached new code or a new answer, in the order in which they were found. */
  readonly found: readonly Buffer[];
  /** Minimised, one of each kind. */
  readonly failures: readonly FoundFailure[];
}

/** One input may take so much processor time, all its chunkings together … */
const inputMsMax = 1_000;
/** … and the heap and its buffers may grow by so much for one, and so much for all. */
const inputMemoryMax = 64 * 1024 * 1024;
const totalMemoryMax = 128 * 1024 * 1024;
/** Coverage is taken once for so many inputs. */
const batchSize = 512;
const progressMs = 10_000;
const knownMax = 4_000;
const answersMax = 5_000;
/** Different failures that are gathered before a run ends early. */
const failuresMax = 8;

/**
 * Mutates known inputs; those that reach new code, or get an answer that none had before, become known. Goes on after a
 * failure, once per kind and message.
 */
export function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  return new Fuzzing(options).run();
}

class Fuzzing {
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #mutator: Mutator;
  readonly #known: Buffer[] = [];
  readonly #found: Buffer[] = [];
  readonly #answers = new Set<string>();
  readonly #failures = new Map<string, FoundFailure>();
  readonly #started = performance.now();
  #ran = 0;
  #slowestMs = 0;
  #memoryAtStart = 0;

  constructor(options: FuzzOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#mutator = new Mutator(this.#random, options.target.dictionary);
  }

  async run(): Promise<FuzzResult> {
    const { target, corpus, inputs, coverage, progress } = this.#options;
    for (const input of [...target.seeds, ...corpus]) {
      this.#one(input);
      this.#known.push(input);
    }
    coverage.take();
    this.#memoryAtStart = await memoryKept();
    let toldAt = performance.now();
    while (this.#ran < inputs && this.#failures.size < failuresMax) {
      this.#batch(Math.min(batchSize, inputs - this.#ran));
      if (performance.now() - toldAt < progressMs) continue;
      toldAt = performance.now();
      await this.#checkTotalMemory();
      progress(this.#facts());
    }
    return { facts: this.#facts(), found: this.#found, failures: [...this.#failures.values()] };
  }

  #batch(size: number): void {
    const batch = Array.from({ length: size }, () =>
      this.#mutator.mutate(this.#random.pick(this.#known), this.#random.pick(this.#known)),
    );
    const fresh = new Set(batch.filter((input) => this.#one(input)));
    this.#ran += size;
    if (this.#options.coverage.take() > 0) this.#attribute(batch, fresh);
    for (const input of fresh) this.#keep(input);
  }

  /** Which inputs of a batch reached new code: halves are run again, and halves of those that did. */
  #attribute(batch: readonly Buffer[], fresh: Set<Buffer>): void {
    const { coverage } = this.#options;
    const remember = coverage.forgetLast();
    const middle = Math.ceil(batch.length / 2);
    for (const half of [batch.slice(0, middle), batch.slice(middle)]) {
      for (const input of half) this.#one(input);
      if (half.length === 0 || coverage.take() === 0) continue;
      if (half.length === 1) fresh.add(half[0] as Buffer);
      else this.#attribute(half, fresh);
    }
    remember();
  }

  #keep(mutated: Buffer): void {
    // A slice would keep the larger buffer that it was cut from.
    const input = Buffer.allocUnsafeSlow(mutated.length);
    mutated.copy(input);
    this.#found.push(input);
    if (this.#known.length < knownMax) this.#known.push(input);
    else this.#known[this.#random.below(knownMax)] = input;
  }

  /** @returns whether its answer is one that no input had before */
  #one(input: Buffer): boolean {
    const { target, watchdog } = this.#options;
    watchdog.begin(input);
    const memoryBefore = memoryInUse();
    const { error, answer, ms } = attempt(target, input);
    const grown = memoryInUse() - memoryBefore;
    if (grown > inputMemoryMax) this.#failed(new Failure('memory', `one input takes ${inMiB(grown)}`), input);
    this.#slowestMs = Math.max(this.#slowestMs, ms);
    if (error !== undefined) this.#failed(error, input);
    if (answer === undefined || this.#answers.has(answer) || this.#answers.size >= answersMax) return false;
    this.#answers.add(answer);
    return true;
  }

  #failed(error: Failure, input: Buffer): void {
    const key = keyOf(error);
    if (this.#failures.has(key)) return;
    this.#failures.set(key, { error, input });
    const { target } = this.#options;
    const smallest = minimise(input, (less) => {
      const again = attempt(target, less).error;
      return again !== undefined && keyOf(again) === key;
    });
    this.#failures.set(key, { error: attempt(target, smallest).error ?? error, input: smallest });
  }

  async #checkTotalMemory(): Promise<void> {
    const own = [...this.#known, ...this.#found].reduce((sum, input) => sum + input.length, 0);
    const grown = (await memoryKept()) - this.#memoryAtStart - own;
    if (grown <= totalMemoryMax) return;
    this.#failed(new Failure('memory', `${this.#ran} inputs leave ${inMiB(grown)}`), Buffer.alloc(0));
  }

  #facts(): FuzzFacts {
    return {
      inputs: this.#ran,
      inputsPerSecond: Math.round((this.#ran / (performance.now() - this.#started)) * 1000),
      found: this.#found.length,
      coveredCharacters: this.#options.coverage.characters,
      answers: this.#answers.size,
      slowestMs: Math.round(this.#slowestMs),
    };
  }
}

interface Attempt {
  readonly answer?: string;
  readonly error?: Failure;
  readonly ms: number;
}

/** Runs one input once. Processor time counts, since the machine may be busy with something else. */
export function attempt(target: Target, input: Buffer): Attempt {
  const started = process.threadCpuUsage();
  // Most inputs are refused with an error whose stack nobody reads, and that would take the most of the time.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    // A copy: nothing that a target does may change a known input.
    const answer = target.run(Buffer.from(input));
    const ms = msSince(started);
    if (ms <= inputMsMax) return { answer, ms };
    return { error: new Failure('hang', `an input of ${input.length} bytes takes too long`), ms };
  } catch (error) {
    const failure =
      error instanceof Failure ? error : new Failure('foreign error', String(error), { cause: error });
    return { error: failure, ms: msSince(started) };
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function msSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.threadCpuUsage(started);
  return (user + system) / 1000;
}

/** Failures of one kind whose messages begin alike are one. */
function keyOf({ kind, message, cause }: Failure): string {
  if (kind !== 'foreign error') return kind;
  return `${kind} ${words(String((cause as Error | undefined)?.message ?? message)).slice(0, 80)}`;
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of the heap and of buffers beside it, garbage included. */
function memoryInUse(): number {
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}

/** What is still in use after a while: buffers and native handles are let go of by tasks that follow a collection. */
async function memoryKept(): Promise<number> {
  for (let round = 0; round < 3; round += 1) {
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return memoryInUse();
}

function inMiB(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`;
}
