export type { EventLogLogger } from './capabilities.ts';
export { connectEventLog } from './connect.ts';
export type { EventLogOptions } from './connect.ts';
export {
  AppendRefusedError,
  EventLogError,
  EventTooLargeError,
  LogCorruptError,
  LogFullError,
  LogReplacedError,
  LogUnavailableError,
  NoResponderError,
  RequestFailedError,
  RequestTimeoutError,
  RequestTooLargeError,
  StreamMismatchError,
} from './errors.ts';
export type {
  ConditionalAppend,
  EventLog,
  FollowOptions,
  IncomingRequest,
  RequestOptions,
  Requests,
  ServerCapabilities,
  StreamName,
} from './event-log.ts';
export type { StreamLimits } from './streams.ts';
