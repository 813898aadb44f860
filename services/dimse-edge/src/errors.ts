/** The disk cannot take the object. Nothing of it is left behind. */
export class ObjectStoreFullError extends Error {
  readonly code = 'OBJECT_STORE_FULL';
  readonly remedy = 'Free space on the disk of OBJECT_STORE, or evict visitor copies. Senders try again.';

  constructor(cause?: unknown) {
    super('the object store has no room', cause === undefined ? undefined : { cause });
    this.name = 'ObjectStoreFullError';
  }
}

/** The disk failed in another way. Nothing of the object is left behind, if the disk still lets us remove it. */
export class ObjectStoreFailedError extends Error {
  readonly code = 'OBJECT_STORE_FAILED';
  readonly remedy = 'Look at the disk of OBJECT_STORE: permissions, mount, health. Senders try again.';

  constructor(cause: unknown) {
    super('the object store failed', { cause });
    this.name = 'ObjectStoreFailedError';
  }
}

/** No station of that AE title is configured. Nothing was sent. */
export class StationUnknownError extends Error {
  readonly code = 'STATION_UNKNOWN';
  readonly remedy = 'Add the station: PUT /api/v1/stations/{aeTitle}.';
  readonly aeTitle: string;

  constructor(aeTitle: string) {
    super(`no station ${JSON.stringify(aeTitle)} is configured`);
    this.name = 'StationUnknownError';
    this.aeTitle = aeTitle;
  }
}

/**
 * The station is to be called by TLS, and this edge has no certificate. Nothing was sent: patient data never leave in
 * the clear by accident.
 */
export class TlsNotConfiguredError extends Error {
  readonly code = 'TLS_NOT_CONFIGURED';
  readonly remedy =
    'Set the three DICOM_TLS_…_FILE, or tls to false for this station if its network is trusted.';

  constructor(aeTitle: string) {
    super(`station ${JSON.stringify(aeTitle)} wants TLS, for which this edge has no certificate`);
    this.name = 'TlsNotConfiguredError';
  }
}

/** Key, certificate and authorities do not make TLS. At the start the edge ends; later it goes on with those before. */
export class TlsFilesError extends Error {
  readonly code = 'TLS_FILES_UNUSABLE';
  readonly remedy =
    'Give all three files in PEM: a key, its certificate with the chain behind it, and the authorities to believe.';

  constructor(what: string, cause?: unknown) {
    super(`TLS: ${what}`, cause === undefined ? undefined : { cause });
    this.name = 'TlsFilesError';
  }
}

/** The peer did not take a storage commitment report. It is sent again later. */
export class CommitmentRefusedError extends Error {
  readonly code = 'COMMITMENT_REPORT_REFUSED';
  readonly remedy = 'See what the peer logs for this Transaction UID.';
  readonly status: number;

  constructor(status: number, errorComment: string | undefined) {
    const hex = status.toString(16).toUpperCase().padStart(4, '0');
    super(`the peer answered the report with ${hex}${errorComment === undefined ? '' : ` ${errorComment}`}`);
    this.name = 'CommitmentRefusedError';
    this.status = status;
  }
}

/** More work waits than is allowed. Nothing was started. */
export class TooMuchWaitingError extends Error {
  readonly code = 'TOO_MUCH_WAITING';
  readonly remedy = 'Wait until some of it is done, or raise the maximum that the message names.';

  constructor(what: string, max: number) {
    super(`${max} ${what} wait already`);
    this.name = 'TooMuchWaitingError';
  }
}

/** Another service of ours answered with something that is no answer. Nothing was done with it. */
export class ServiceAnswerError extends Error {
  readonly code = 'SERVICE_ANSWER_UNREADABLE';
  readonly remedy = 'Run the same version of every service; see the log of the one that the message names.';

  constructor(what: string) {
    super(`${what} is not what was asked for`);
    this.name = 'ServiceAnswerError';
  }
}

/** An object could not be converted to a transfer syntax that the destination takes. It was not sent; what is stored stays. */
export class TranscodeFailedError extends Error {
  readonly code = 'TRANSCODE_FAILED';
  readonly remedy =
    'Look at the object; raise TRANSCODE_MIB_MAX or TRANSCODE_TIMEOUT_MS if it is only large. Or let the station take it as it is.';

  constructor(why: string) {
    super(`it could not be converted: ${why}`);
    this.name = 'TranscodeFailedError';
  }
}

/** Tells a disk without room (ENOSPC, quota) from a disk that failed. */
export function objectStoreError(cause: unknown): ObjectStoreFullError | ObjectStoreFailedError {
  if (cause instanceof ObjectStoreFullError || cause instanceof ObjectStoreFailedError) return cause;
  const code = (cause as NodeJS.ErrnoException).code;
  return code === 'ENOSPC' || code === 'EDQUOT'
    ? new ObjectStoreFullError(cause)
    : new ObjectStoreFailedError(cause);
}
