/** What is fuzzed: some code that takes bytes from a peer, with the properties that must hold for all of them. */
export interface Target {
  readonly name: string;
  /** Valid inputs to begin with. */
  readonly seeds: readonly Buffer[];
  /** Byte strings that mean something to the code. */
  readonly dictionary: readonly Buffer[];
  /**
   * Runs one input. What it returns, a few words on what came out, counts as coverage: an input with a new
   * answer is kept. Throws Failure when a property does not hold; whatever else it throws is a failure too.
   */
  run(input: Buffer): string;
}

export type FailureKind = 'foreign error' | 'chunking' | 'round trip' | 'disagreement' | 'hang' | 'memory';

/** A property of a target does not hold. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string, options?: { cause?: unknown }) {
    super(`${kind}: ${message}`, options);
    this.kind = kind;
  }
}

/**
 * Runs `step`; an error of the class that the code promises is its answer, every other one is a failure.
 * @returns the answer, or words that tell what was refused
 */
export function promised<Answer>(
  errorClass: new (...args: never[]) => Error,
  step: () => Answer,
): { readonly answer: Answer } | { readonly refused: string } {
  try {
    return { answer: step() };
  } catch (error) {
    if (error instanceof errorClass) return { refused: error.message };
    if (error instanceof Failure) throw error;
    throw new Failure('foreign error', String((error as Error)?.stack ?? error), { cause: error });
  }
}

/** Text without its numbers: a refusal is the same whatever the length was. */
export function words(text: string): string {
  return text.replace(/\d+/g, '#');
}

/** 0, 1, 2, 3–4, 5–8, …: how many of something there are, as coverage. */
export function magnitude(count: number): number {
  return count <= 2 ? count : 32 - Math.clz32(count - 1) + 1;
}
