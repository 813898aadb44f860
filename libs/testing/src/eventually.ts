/**
 * Looks again and again until something is so. The time is a limit for failure, never a wait.
 *
 * It has not happened yet while the check is `false`, `null` or `undefined`, and while it throws: a service that is not
 * up, a failed assertion. So what must never happen is asserted on the value that comes back, not inside the check.
 * @param what - What is awaited, for the message.
 * @param options - `everyMs` lies between two looks: 10, for benchmarks less.
 * @returns What the check found.
 * @throws {Error} Not within `timeoutMs`; names what was awaited and the last reason, which is its `cause` if thrown.
 */
export async function eventually<Found extends NonNullable<unknown>>(
  what: string,
  check: () => Found | false | null | undefined | Promise<Found | false | null | undefined>,
  { timeoutMs = 30_000, everyMs = 10 }: { readonly timeoutMs?: number; readonly everyMs?: number } = {},
): Promise<Exclude<Found, false>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let reason = 'it is not so';
    let options: ErrorOptions | undefined;
    try {
      const found = await check();
      if (isFound(found)) return found;
    } catch (error) {
      options = { cause: error };
      reason = error instanceof Error ? error.message : String(error);
    }
    if (performance.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${what}. Last: ${reason}`, options);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function isFound<Found>(found: Found): found is Exclude<NonNullable<Found>, false> {
  return found !== false && found !== null && found !== undefined;
}
