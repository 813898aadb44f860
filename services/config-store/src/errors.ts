/** A `cluster.yaml` cannot be used. Nothing of it was configured. */
export class ClusterFileError extends Error {
  readonly code = 'cluster-file-invalid';
  readonly remedy =
    'Correct the places named; services/config-store/cluster.schema.json says what is allowed.';
  readonly faults: readonly string[];
  constructor(name: string, faults: readonly string[], options?: ErrorOptions) {
    super(`${name} cannot be used:\n  ${faults.join('\n  ')}`, options);
    this.name = 'ClusterFileError';
    this.faults = faults;
  }
}
