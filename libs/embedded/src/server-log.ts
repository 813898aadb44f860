/** Where notices go; pino's logger fits. */
export interface ServerLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
}

export const silentLog: ServerLog = { info() {}, warn() {} };
