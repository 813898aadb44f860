/** A service cannot start with the settings it was given. Nothing was opened or changed. */
export class ConfigError extends Error {
  readonly code = 'config-invalid';
  readonly remedy = 'Correct the settings named and start again.';
  /** One sentence per setting. Secrets are not in it. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Bad configuration:\n  ${problems.join('\n  ')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}
