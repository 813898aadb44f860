import { isDeepStrictEqual } from 'node:util';
import { ProtocolError } from '../src/errors.ts';
import {
  decodeAbort,
  decodeAssociateAccept,
  decodeAssociateReject,
  decodeAssociateRequest,
  encodeAssociateAccept,
  encodeAssociateRequest,
  pduHeaderBytes,
} from '../src/pdu.ts';
import type { AssociateAccept, AssociateRequest } from '../src/pdu.ts';
import { associateRequests } from './seeds.ts';
import { Failure, magnitude, promised, words } from './target.ts';
import type { Target } from './target.ts';

const decoders = [decodeAssociateRequest, decodeAssociateAccept] as const;

/**
 * The decoders of A-ASSOCIATE-RQ and -AC. The first byte of the input says which; the rest is the variable field of the
 * PDU. What was decoded must be the same after it was encoded and decoded again.
 */
export const associateTarget: Target = {
  name: 'associate',
  seeds: associateSeeds(),
  dictionary: [
    ...[0x10, 0x20, 0x21, 0x30, 0x40, 0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59].map(
      (type) => Buffer.from([type, 0, 0, 4, 0, 1, 0, 1]),
    ),
    Buffer.from([0x40, 0, 0, 0]),
    Buffer.from([0x20, 0, 0, 4, 1, 0, 0, 0]),
    Buffer.from('1.2.840.10008.1.2'),
    Buffer.from([0x40, 0, 0, 65, ...Buffer.alloc(65, '1')]),
  ],
  run(input) {
    const body = input.subarray(1);
    if (body.length >= 4) {
      decodeAssociateReject(body);
      decodeAbort(body);
    }
    const isAccept = ((input[0] ?? 0) & 1) === 1;
    const outcome = promised(ProtocolError, () => decoders[isAccept ? 1 : 0](body));
    if ('refused' in outcome) return words(outcome.refused);
    const { answer } = outcome;
    checkRoundTrip(isAccept, answer);
    const { roles, extendedNegotiations: extended, commonExtendedNegotiations: common } = answer.user;
    const counts = [answer.contexts, roles, extended, common].map((list) => magnitude(list?.length ?? 0));
    return `${String(isAccept)} ${counts.join(' ')} ${Object.keys(answer.user).join(' ')}`;
  },
};

/** The version name is cut to 16 characters when it is written (PS3.7 D.3.3.2.3), and AE titles are of 16 bytes. */
function checkRoundTrip(isAccept: boolean, decoded: AssociateRequest | AssociateAccept): void {
  const { implementationVersionName: version } = decoded.user;
  const expected =
    version === undefined || version.length <= 16
      ? decoded
      : {
          ...decoded,
          user: { ...decoded.user, implementationVersionName: version.slice(0, 16).replace(/[\0 ]+$/, '') },
        };
  let again: AssociateRequest | AssociateAccept;
  try {
    const pdu = isAccept
      ? encodeAssociateAccept(expected as AssociateAccept)
      : encodeAssociateRequest(expected as AssociateRequest);
    again = decoders[isAccept ? 1 : 0](pdu.subarray(pduHeaderBytes));
  } catch (error) {
    // Items that were decoded with trailing padding or none may add up to more than an item holds; nothing else.
    if (error instanceof RangeError && error.message.includes('65,535')) return;
    throw new Failure('round trip', String(error), { cause: error });
  }
  if (!isDeepStrictEqual(expected, again)) {
    throw new Failure('round trip', `${JSON.stringify(expected)} came back as ${JSON.stringify(again)}`);
  }
}

function associateSeeds(): Buffer[] {
  const requests = associateRequests().map((pdu) =>
    Buffer.concat([Buffer.from([0]), pdu.subarray(pduHeaderBytes)]),
  );
  const accept = encodeAssociateAccept({
    protocolVersion: 1,
    calledAeTitle: 'NORTH',
    callingAeTitle: 'MODALITY',
    applicationContextName: '1.2.840.10008.3.1.1.1',
    contexts: [0, 1, 2, 3, 4].map((result) => ({
      id: result * 2 + 1,
      result: result as 0,
      ...(result === 0 ? { transferSyntaxUid: '1.2.840.10008.1.2' } : {}),
    })),
    user: { maxPduBytes: 0, userIdentityResponse: Buffer.from('ticket') },
  });
  return [...requests, Buffer.concat([Buffer.from([1]), accept.subarray(pduHeaderBytes)])];
}
