import { createCipheriv, createSecretKey } from 'node:crypto';

/** Of no secret: nothing is proved with it. */
const key = createSecretKey(Buffer.alloc(16));
const iv = Buffer.alloc(12);

export interface Checksum {
  update(bytes: Buffer): void;
  /** Of all bytes so far, 32 lower hex digits. Once, and nothing after it. */
  digest(): string;
}

/**
 * AES-128-GMAC (NIST SP 800-38D) with key and initialisation vector of zeros: 128 bits that tell damaged or other bytes
 * from these with certainty, for all practical purposes, unless somebody makes them to deceive. It takes a tenth of the
 * time of SHA-256, which alone would take a fourth of what receiving an object may cost; where deceit matters, as for
 * what comes twice under one UID, bytes are compared.
 */
export function checksum(): Checksum {
  const cipher = createCipheriv('aes-128-gcm', key, iv);
  return {
    update: (bytes) => void cipher.setAAD(bytes),
    digest: () => {
      cipher.final();
      return cipher.getAuthTag().toString('hex');
    },
  };
}
