export { dataPdu, openRawAssociation, pdu, storeCommand } from './raw-peer.ts';
export type { RawAssociation, RawAssociationOptions } from './raw-peer.ts';
export { natsBinariesHere, sharedPostgres, testNats, testServers } from './servers.ts';
export type { TestContextLike, TestNatsOptions, TestServers } from './servers.ts';
