import { isDeepStrictEqual } from 'node:util';
import { decodeCommandSet, encodeCommandSet } from '../src/command-set.ts';
import { ProtocolError } from '../src/errors.ts';
import { ByteCollector } from '../src/message-reader.ts';
import { chunkings } from './pieces.ts';
import { commandSets } from './seeds.ts';
import { Failure, promised, words } from './target.ts';
import type { Target } from './target.ts';

const commandBytesMax = 64 * 1024;

/**
 * The decoder of command sets, behind the collector that puts its fragments together. The same whatever the fragments,
 * and what was decoded is the same after it was encoded and decoded again.
 */
export const commandTarget: Target = {
  name: 'command',
  seeds: commandSets(),
  dictionary: [
    ...[
      0x0000, 0x0002, 0x0003, 0x0100, 0x0110, 0x0120, 0x0600, 0x0700, 0x0800, 0x0900, 0x0901, 0x0902, 0x1000,
      0x1001, 0x1002, 0x1005, 0x1008, 0x1020, 0x1030, 0x1031,
    ].map((element) => Buffer.from([0, 0, element & 0xff, element >> 8, 2, 0, 0, 0, 1, 1])),
    Buffer.from('0000000800000000', 'hex'),
    Buffer.from('000000010000', 'hex'),
    Buffer.from('00000009ffffffff', 'hex'),
    Buffer.from('00000008fe000000', 'hex'),
    Buffer.from('0800050000000000', 'hex'),
    Buffer.from('00000510080000001000100010002000', 'hex'),
  ],
  run(input) {
    const whole = collected([input]);
    for (const pieces of chunkings(input)) {
      const other = collected(pieces);
      if (!isDeepStrictEqual(whole, other)) {
        throw new Failure('chunking', `${JSON.stringify(other)}, whole: ${JSON.stringify(whole)}`);
      }
    }
    if ('refused' in whole) return words(whole.refused);
    const { answer } = whole;
    const again = decodeCommandSet(encodeCommandSet(answer));
    // An error comment is cut and made ASCII when it is written.
    const comment = again.errorComment === undefined ? {} : { errorComment: again.errorComment };
    if (!isDeepStrictEqual({ ...answer, ...comment }, again)) {
      throw new Failure('round trip', `${JSON.stringify(answer)} came back as ${JSON.stringify(again)}`);
    }
    return Object.keys(answer).sort().join(' ');
  },
};

function collected(pieces: readonly Buffer[]) {
  return promised(ProtocolError, () => {
    const collector = new ByteCollector(commandBytesMax, 'command set');
    for (const piece of pieces) collector.push(piece);
    return decodeCommandSet(collector.take());
  });
}
