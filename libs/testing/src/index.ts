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
export { natsBinariesHere, sharedPostgres, testNats, testServers } from './servers.ts';
export type { TestContextLike, TestNatsOptions, TestServers } from './servers.ts';
