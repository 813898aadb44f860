import { createHash, randomBytes } from 'node:crypto';

/** A UUIDv7 (RFC 9562 §5.7): the id of a decision. Sorts by time of making. */
export function newUuid(nowMs: number = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  return formatUuid(bytes, 7);
}

/**
 * A UUIDv8 (RFC 9562 §5.8) from the SHA-256 of the parts: the same parts give the same id, in any process.
 */
export function derivedUuid(...parts: readonly string[]): string {
  return formatUuid(createHash('sha256').update(JSON.stringify(parts)).digest().subarray(0, 16), 8);
}

/**
 * A UID under 2.25 (PS3.5 B.2) from a SHA-256. The version bits are not set: it names content, not a UUID.
 */
export function derivedUid(content: string | Buffer): string {
  const head = createHash('sha256').update(content).digest('hex').slice(0, 32);
  return `2.25.${BigInt(`0x${head}`)}`;
}

function formatUuid(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
