/** What is wrong with a data set, stable across versions: tests, metrics and status words hang on it. */
export type DataSetErrorCode =
  | 'truncated'
  | 'malformed'
  | 'too-deep'
  | 'too-large'
  | 'unknown-transfer-syntax'
  | 'deflate'
  | 'no-file-meta'
  | 'unencodable';

/** Where in the bytes (or in the JSON) the fault was met. Never a value: values are patient data. */
export interface DataSetErrorFacts {
  /** Offset in bytes from the start of the data set, after inflating when it is deflated. */
  readonly offset?: number;
  /** 8 hex digits. */
  readonly tag?: string;
}

const remedies: { readonly [code in DataSetErrorCode]: string } = {
  truncated: 'The data set ends too early. Send it again; when it happens again, look at the sender.',
  malformed: 'The bytes are not a data set in the negotiated transfer syntax. Look at the sender.',
  'too-deep': 'Sequences are nested deeper than any real object needs. Refuse it.',
  'too-large': 'A length is beyond the configured bound. Raise the bound only for a sender that is trusted.',
  'unknown-transfer-syntax': 'This transfer syntax is not known here. Offer one that is.',
  deflate: 'The deflated bytes are damaged, or inflate beyond the bound. Look at the sender.',
  'no-file-meta': 'This is not a DICOM file (PS3.10): preamble, prefix or group 0002 is missing.',
  unencodable: 'A value does not fit its value representation. Correct the value where it was entered.',
};

/**
 * The only error that reading or writing a data set throws. It carries facts for the operator and no patient data;
 * nothing has been changed when it is thrown.
 */
export class DataSetError extends Error {
  readonly code: DataSetErrorCode;
  readonly facts: DataSetErrorFacts;
  readonly remedy: string;

  constructor(code: DataSetErrorCode, message: string, facts: DataSetErrorFacts = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'DataSetError';
    this.code = code;
    this.facts = facts;
    this.remedy = remedies[code];
  }
}
