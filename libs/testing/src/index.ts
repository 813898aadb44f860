export { sharedPostgres, testNats, testServers } from './servers.ts';
export type { TestContextLike, TestServers } from './servers.ts';
