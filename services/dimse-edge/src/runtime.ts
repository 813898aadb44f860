import { setFlagsFromString } from 'node:v8';

/**
 * How the process is set up for bytes that only pass through; `main.ts` imports this before anything else, since both
 * count only before the first file or object is touched.
 *
 * - Node reads a socket into a new 64 KiB buffer each time. Those buffers are outside the heap and die young, but a young
 *   generation that grows is collected so seldom that V8 takes their sum for a full heap and marks all of it, 22 times
 *   per GB received: half of the processor time of a C-STORE. Kept at its first size it frees them in passing.
 * - Four threads, libuv's default, are all asleep when four objects are synced; then nobody writes.
 */
setFlagsFromString('--semi-space-growth-factor=1');
process.env['UV_THREADPOOL_SIZE'] ??= '16';
