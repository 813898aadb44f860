/** Runs that making one input smaller may take. */
const runsMax = 3_000;

/**
 * Makes an input smaller as long as it fails: takes away ever smaller parts, then sets what is left to zero.
 * @param fails - whether an input fails in the same way
 */
export function minimise(input: Buffer, fails: (input: Buffer) => boolean): Buffer {
  let smallest = input;
  let runs = 0;
  const take = (candidate: Buffer): boolean => {
    runs += 1;
    if (runs > runsMax || !fails(candidate)) return false;
    smallest = candidate;
    return true;
  };
  for (let size = Math.ceil(input.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < smallest.length;) {
      const less = Buffer.concat([smallest.subarray(0, at), smallest.subarray(at + size)]);
      if (!take(less)) at += size;
    }
  }
  for (let at = 0; at < smallest.length; at += 1) {
    if (smallest[at] === 0) continue;
    const simpler = Buffer.from(smallest);
    simpler[at] = 0;
    take(simpler);
  }
  return smallest;
}
