/** Lines are gathered up to so many characters … */
const gatheredMax = 8 * 1024;
/** … or for so long. */
const gatheredMs = 100;

/**
 * Standard output, where lines are written several at a time: each object that comes in is a line, and a system call for
 * each would be felt. A process that is killed loses those of the last moment; one that ends or fails does not.
 */
export function logOutput(): { write(line: string): void } {
  let gathered = '';
  const flush = (): void => {
    if (gathered === '') return;
    // To files and pipes this is synchronous, hence also while the process exits.
    process.stdout.write(gathered);
    gathered = '';
  };
  setInterval(flush, gatheredMs).unref();
  process.on('exit', flush);
  return {
    write: (line) => {
      gathered += line;
      if (gathered.length >= gatheredMax) flush();
    },
  };
}
