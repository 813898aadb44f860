import type { PeerCertificate, SecureContextOptions, TLSSocket } from 'node:tls';
import type { TlsFacts } from './handlers.ts';

/**
 * BCP 195 RFC 8996, 9325 TLS Secure Transport Connection Profile (PS3.15 B.12): TLS 1.2 and 1.3, nothing
 * older; of TLS 1.2 only the suites with ephemeral keys and authenticated encryption that RFC 9325 4.2 names.
 * Laid under the options given for TLS, which may narrow it further.
 */
export const bcp195: Readonly<
  Pick<SecureContextOptions, 'minVersion' | 'ciphers' | 'honorCipherOrder' | 'ecdhCurve'>
> = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'TLS_AES_128_GCM_SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
  ].join(':'),
  honorCipherOrder: true,
  ecdhCurve: 'X25519:P-256:P-384:P-521',
};

/** What is known of a peer after its TLS handshake, for `admit`. */
export function tlsFacts(socket: TLSSocket): TlsFacts {
  const certificate = socket.getPeerCertificate();
  return {
    protocol: socket.getProtocol() ?? '',
    cipherSuite: socket.getCipher().standardName,
    // Without a certificate Node gives an empty object.
    ...('raw' in certificate && {
      peerCertificate: {
        subject: nameOf(certificate.subject),
        issuer: nameOf(certificate.issuer),
        subjectAltNames: alternativeNames(certificate),
        fingerprintSha256: certificate.fingerprint256,
        validTo: new Date(certificate.valid_to),
        isTrusted: socket.authorized,
      },
    }),
  };
}

/** `CN=…,O=…`, in the order of the certificate. */
function nameOf(name: PeerCertificate['subject'] | undefined): string {
  return Object.entries(name ?? {})
    .flatMap(([key, values]) => [values ?? []].flat().map((value) => `${key}=${value}`))
    .join(',');
}

/**
 * `DNS:pacs.example`, `IP Address:192.0.2.7` … Node quotes a name with a comma in it, so that a comma in a
 * name cannot pass for a second name.
 */
function alternativeNames({ subjectaltname }: PeerCertificate): string[] {
  return subjectaltname?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g)?.map((name) => name.trim()) ?? [];
}
