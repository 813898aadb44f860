/** A projection has stopped folding and will not go on by itself. Its rows stay as they were. */
export class ProjectionHaltedError extends Error {
  readonly code = 'projection-halted';
  readonly remedy: string;
  constructor(name: string, reason: string, remedy: string) {
    super(`projection ${name} has halted: ${reason}`);
    this.name = 'ProjectionHaltedError';
    this.remedy = remedy;
  }
}
