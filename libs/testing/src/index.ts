export { dicomSamples, shownLogLevel, toolEnvironment } from './environment.ts';
export { eventually } from './eventually.ts';
export { freePort } from './free-port.ts';
export { metaOf } from './part10.ts';
export type { FileMeta } from './part10.ts';
export {
  associateRequest,
  commandSet,
  dataPdu,
  item,
  openRawAssociation,
  openRawConnection,
  pdu,
  statusOf,
  storeCommand,
} from './raw-peer.ts';
export type { RawAssociation, RawAssociationOptions, RawConnection } from './raw-peer.ts';
export { requestJson } from './request-json.ts';
export type { JsonAnswer, PageBody, ProblemBody } from './request-json.ts';
export { natsBinariesHere, sharedPostgres, testNats, testServers } from './servers.ts';
export type { TestContextLike, TestNatsOptions, TestServers } from './servers.ts';
export { temporaryFolder } from './temporary-folder.ts';
