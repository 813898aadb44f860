/** Something about the event log did not work. `code` is stable, `remedy` is for the operator. */
export class EventLogError extends Error {
  override readonly name: string = 'EventLogError';
  readonly code: string;
  readonly remedy: string;

  constructor(code: string, message: string, remedy: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
  }
}

/** The stream has reached its limit. Nothing was stored. */
export class LogFullError extends EventLogError {
  override readonly name = 'LogFullError';
  constructor(stream: string, options?: ErrorOptions) {
    super(
      'log-full',
      `the stream ${stream} is full`,
      `Raise max_bytes of ${stream}, or give the disk more room`,
      options,
    );
  }
}

/**
 * No acknowledgement in time. Whether the event was stored is unknown; appending the same event again is
 * safe.
 */
export class LogUnavailableError extends EventLogError {
  override readonly name = 'LogUnavailableError';
  constructor(message: string, options?: ErrorOptions) {
    super('log-unavailable', message, 'See whether nats-server runs and can be reached', options);
  }
}

/** The server refused the event for a reason that a retry does not change. Nothing was stored. */
export class AppendRefusedError extends EventLogError {
  override readonly name = 'AppendRefusedError';
  constructor(message: string, options?: ErrorOptions) {
    super(
      'append-refused',
      message,
      'Compare the streams of this server with those that libs/event-log/README.md lists',
      options,
    );
  }
}

/** The event does not fit into one message. Nothing was stored. */
export class EventTooLargeError extends EventLogError {
  override readonly name = 'EventTooLargeError';
  constructor(bytes: number, bytesMax: number) {
    super('event-too-large', `the event has ${bytes} bytes, ${bytesMax} at most`, 'Split the event');
  }
}

/**
 * Positions in this log mean nothing any more: it was wiped, restored, or is shorter than a position handled
 * before.
 */
export class LogReplacedError extends EventLogError {
  override readonly name = 'LogReplacedError';
  constructor(message: string) {
    super(
      'log-replaced',
      message,
      'Rebuild the projections and reconcile with the peers before taking commands',
    );
  }
}

/** A stored message is no event. Reading stops here rather than passing by something that happened. */
export class LogCorruptError extends EventLogError {
  override readonly name = 'LogCorruptError';
  constructor(stream: string, sequence: number, options?: ErrorOptions) {
    super('log-corrupt', `message ${sequence} of ${stream} is no event`, 'See what wrote it', options);
  }
}

/** The server has a stream of this name that could lose events, and it cannot be changed into ours. */
export class StreamMismatchError extends EventLogError {
  override readonly name = 'StreamMismatchError';
  constructor(stream: string, differences: readonly string[], options?: ErrorOptions) {
    super(
      'stream-mismatch',
      `the stream ${stream} is not as asked for: ${differences.join(', ')}`,
      `Correct or rename the stream ${stream}, or give this cluster a nats-server of its own`,
      options,
    );
  }
}

/** No service answers this subject now. Nothing was done. */
export class NoResponderError extends EventLogError {
  override readonly name = 'NoResponderError';
  constructor(subject: string, options?: ErrorOptions) {
    super(
      'no-responder',
      `no service answers ${subject} now`,
      'See whether the service that answers it runs',
      options,
    );
  }
}

/** No answer in time. Whether the work was done is unknown. */
export class RequestTimeoutError extends EventLogError {
  override readonly name = 'RequestTimeoutError';
  constructor(subject: string, detail: string, options?: ErrorOptions) {
    super('request-timeout', `${subject}: ${detail}`, 'See the log of the service that answers it', options);
  }
}

/** The handler of the request threw; `code` is that of its error when it had one. */
export class RequestFailedError extends EventLogError {
  override readonly name = 'RequestFailedError';
  constructor(subject: string, code: string, detail: string) {
    super(code, `${subject}: ${detail}`, 'See the log of the service that answers it');
  }
}

/** A request or an answer with its attachment is over the limit. It was not sent. */
export class RequestTooLargeError extends EventLogError {
  override readonly name = 'RequestTooLargeError';
  constructor(subject: string, bytes: number, bytesMax: number) {
    super('request-too-large', `${subject}: ${bytes} bytes, ${bytesMax} at most`, 'Ask in smaller pieces');
  }
}
