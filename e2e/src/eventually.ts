/**
 * Looks again and again until the condition holds; the time is a limit for failure, never a wait.
 * @param condition - True or a value when it holds; false, undefined or a throw when not yet.
 * @throws Names what did not happen, and the last reason.
 */
export async function eventually<Result>(
  what: string,
  timeoutMs: number,
  condition: () => Result | false | undefined | Promise<Result | false | undefined>,
  everyMs = 25,
): Promise<Result> {
  const deadline = performance.now() + timeoutMs;
  let reason: unknown = 'the condition stayed false';
  while (performance.now() < deadline) {
    try {
      const result = await condition();
      if (result !== false && result !== undefined) return result;
      reason = 'the condition stayed false';
    } catch (error) {
      reason = error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
  throw new Error(
    `did not happen within ${timeoutMs} ms: ${what}. Last: ${reason instanceof Error ? reason.message : reason}`,
  );
}
