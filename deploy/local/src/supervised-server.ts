/** What we need of an embedded nats-server or PostgreSQL. */
export interface RestartableServer {
  readonly pid: number;
  readonly running: boolean;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const lookEveryMs = 200;
const retryEveryMs = 1_000;

/**
 * Starts a server again when it has died, on the same data and port, and says so by name.
 * @returns A function that stops watching and ends the server in order.
 */
export function superviseServer(
  name: string,
  server: RestartableServer,
  report: (message: string) => void,
  onPid: (pid: number | undefined) => void,
): () => Promise<void> {
  let stopping = false;
  let restarting: Promise<void> | undefined;
  onPid(server.pid);

  async function restart(): Promise<void> {
    onPid(undefined);
    report(`${name} ended; starting it again on its data`);
    while (!stopping) {
      try {
        await server.restart();
        onPid(server.pid);
        return;
      } catch (error) {
        report(`${name} does not start: ${(error as Error).message}`);
        await new Promise((resolve) => setTimeout(resolve, retryEveryMs));
      }
    }
  }

  const timer = setInterval(() => {
    if (stopping || restarting || server.running) return;
    restarting = restart().finally(() => (restarting = undefined));
  }, lookEveryMs);

  return async () => {
    stopping = true;
    clearInterval(timer);
    await restarting;
    await server.stop();
  };
}
