// What benchmarks need of the end-to-end harness: a system from outside, and the tools that talk to it.
export { call, changeLink, getStudy, setReportStatus } from './api.ts';
export type { Answer, LinkBody, StudyBody } from './api.ts';
export { dataSetsOf, studiesOnDisk, studyUidsOf } from './studies.ts';
export type { StudyOnDisk } from './studies.ts';
export { startSystem } from './system-under-test.ts';
export type { ClusterAddress, SystemUnderTest } from './system-under-test.ts';
