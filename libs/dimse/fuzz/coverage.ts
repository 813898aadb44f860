import { Session } from 'node:inspector';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}
interface ScriptCoverage {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

/**
 * Block coverage of the sources whose address contains one of `parts`, from V8's own counters: which characters of
 * each function have ever run. Taking it costs milliseconds, so it is taken for many inputs at once.
 */
export class BlockCoverage {
  readonly #session = new Session();
  readonly #parts: readonly string[];
  /** Characters that have run, by function. */
  readonly #seen = new Map<string, Uint8Array>();
  /** What the last `take` added. */
  #last: { readonly seen: Uint8Array; readonly at: number }[] = [];
  /** Characters that have run, of all functions. */
  characters = 0;

  constructor(parts: readonly string[]) {
    this.#parts = parts;
    this.#session.connect();
    this.#post('Profiler.enable');
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** @returns characters that have run since the last call and never before */
  take(): number {
    const { result } = this.#post('Profiler.takePreciseCoverage') as { result: readonly ScriptCoverage[] };
    const before = this.characters;
    this.#last = [];
    for (const { url, functions } of result) {
      if (this.#parts.some((part) => url.includes(part)))
        for (const { ranges } of functions) this.#add(url, ranges);
    }
    return this.characters - before;
  }

  /**
   * As if what the last `take` saw had never run, to find out what made it run.
   * @returns remembers it again: it may have run for another reason than the input, and must not be new for ever
   */
  forgetLast(): () => void {
    const last = this.#last;
    for (const { seen, at } of last) seen[at] = 0;
    this.characters -= last.length;
    return () => {
      for (const { seen, at } of last) {
        if (seen[at] === 0) this.characters += 1;
        seen[at] = 1;
      }
    };
  }

  stop(): void {
    this.#post('Profiler.stopPreciseCoverage');
    this.#session.disconnect();
  }

  /** The first range is the function; later ones lie inside earlier ones and say more. */
  #add(url: string, ranges: readonly Range[]): void {
    const whole = ranges[0];
    if (whole === undefined || whole.count === 0) return;
    const key = `${url}:${whole.startOffset}:${whole.endOffset}`;
    const size = whole.endOffset - whole.startOffset;
    let seen = this.#seen.get(key);
    if (seen === undefined) this.#seen.set(key, (seen = new Uint8Array(size)));
    const now = new Uint8Array(size);
    for (const { startOffset, endOffset, count } of ranges) {
      now.fill(count > 0 ? 1 : 0, startOffset - whole.startOffset, endOffset - whole.startOffset);
    }
    for (let at = 0; at < size; at += 1) {
      if (now[at] === 1 && seen[at] === 0) {
        seen[at] = 1;
        this.#last.push({ seen, at });
        this.characters += 1;
      }
    }
  }

  /** The inspector of the own thread answers before `post` returns. */
  #post(method: string, params: object = {}): unknown {
    let answer: unknown;
    let failed: Error | null = null;
    this.#session.post(method, params, (error, result) => {
      failed = error;
      answer = result;
    });
    if (failed !== null) throw failed;
    return answer;
  }
}
