/**
 * Runs work again and again, never two at once, and keeps no process alive for it.
 * @param work - Deals with its own errors.
 * @returns Stops it; work under way goes on to its end.
 */
export function every(pauseMs: number, work: () => Promise<void>): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const next = (): void => {
    if (isStopped) return;
    timer = setTimeout(() => void work().finally(next), pauseMs);
    timer.unref();
  };
  next();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
