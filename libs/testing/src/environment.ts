/** What tests take from the environment. Beside `main.ts` and `config.ts`, eslint.config.mjs lets only this file look. */

/** Where real DICOM files are (`DICOM_SAMPLES`), when they are. */
export const dicomSamples: string | undefined = process.env['DICOM_SAMPLES'];

/** On a build machine (`CI=true`) a foreign tool that is missing is a failure, not a skip. */
export const inCi: boolean = process.env['CI'] === 'true';

/** `LOG_LEVEL=info` shows what a service logs while a test runs. */
export const shownLogLevel: 'info' | 'silent' = process.env['LOG_LEVEL'] === 'info' ? 'info' : 'silent';

/** Folders in which programs are found. */
export const searchPath: string = process.env['PATH'] ?? '';

/** For child processes. Without TCP_NODELAY DCMTK waits 40 ms in every exchange on the loopback interface. */
export const toolEnvironment: NodeJS.ProcessEnv = { ...process.env, TCP_NODELAY: '1' };
