import { constants } from 'node:crypto';
import type { PeerCertificate, SecureContextOptions, TLSSocket } from 'node:tls';
import type { CertificateFacts, TlsFacts } from './handlers.ts';

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

/**
 * Who connects proves its key each time: a session that is resumed is not verified again, so that a certificate
 * could outlive its last day, or the authority that it came from. Laid over the options of an acceptor.
 */
export const withoutResumption = { secureOptions: constants.SSL_OP_NO_TICKET };

/** What is known of a peer after its TLS handshake, for `admit`. */
export function tlsFacts(socket: TLSSocket): TlsFacts {
  const certificate = socket.getPeerCertificate();
  return {
    protocol: socket.getProtocol() ?? '',
    cipherSuite: socket.getCipher().standardName,
    // Without a certificate Node gives an empty object.
    ...('raw' in certificate && {
      peerCertificate: { ...certificateFacts(certificate), isTrusted: socket.authorized },
    }),
  };
}

/** What a certificate says, as Node decodes it. */
export function certificateFacts(certificate: PeerCertificate): CertificateFacts {
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    subjectAltNames: alternativeNames(certificate),
    fingerprintSha256: certificate.fingerprint256,
    validTo: new Date(certificate.valid_to),
  };
}

/**
 * `CN=…,O=…`, in the order of the certificate. Commas and backslashes in a value are escaped (RFC 4514 2.4), so that a
 * value cannot pass for a second attribute.
 */
function nameOf(name: PeerCertificate['subject'] | undefined): string {
  return Object.entries(name ?? {})
    .flatMap(([key, values]) => [values ?? []].flat().map((value) => `${key}=${escaped(value)}`))
    .join(',');
}

function escaped(value: string): string {
  return value.replace(/[,\\]/g, '\\$&');
}

/** Why a handshake that ended well is not good enough for us, or `undefined`. */
export function certificateRefusal(socket: TLSSocket): Error | undefined {
  const isSent = 'raw' in socket.getPeerCertificate();
  if (isSent && socket.authorized) return undefined;
  // Node's types say Error; it is the code of OpenSSL's verification, CERT_HAS_EXPIRED for instance.
  const why = isSent ? String(socket.authorizationError) : 'the peer sent none';
  const subject = isSent ? ` ${JSON.stringify(nameOf(socket.getPeerCertificate().subject))}` : '';
  return new Error(`certificate${subject} refused: ${why}`);
}

/**
 * `DNS:pacs.example`, `IP Address:192.0.2.7` … Node quotes a name with a comma in it, so that a comma in a
 * name cannot pass for a second name.
 */
function alternativeNames({ subjectaltname }: PeerCertificate): string[] {
  return subjectaltname?.match(/(?:[^,"]|"(?:[^"\\]|\\.)*")+/g)?.map((name) => name.trim()) ?? [];
}
