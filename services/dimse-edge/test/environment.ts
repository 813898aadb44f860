/** Tests have no config.ts; this is the one place where they look at the environment. */
/** Where real DICOM files are, when they are. */
export const samples: string | undefined = process.env['DICOM_SAMPLES'];
/** In CI a foreign tool that is missing is a failure, not a skip. */
export const inCi: boolean = process.env['CI'] === 'true';
/** `info` shows what the service logs while a test runs. */
export const shownLogLevel: 'info' | 'silent' = process.env['LOG_LEVEL'] === 'info' ? 'info' : 'silent';
/** For the toolkit's programs: without TCP_NODELAY it waits 40 ms for each object on the loopback interface. */
export const toolEnvironment = { ...process.env, TCP_NODELAY: '1' };
