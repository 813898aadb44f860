import type { TestContext } from 'node:test';
import { eventually } from '@isthmus/testing';
import { acceptAssociations, requestAssociation } from '../src/index.ts';
import type {
  AcceptAssociationsOptions,
  Acceptor,
  AssociationEvent,
  RequestAssociationOptions,
  RequestedAssociation,
} from '../src/index.ts';

export const implicitLittle = '1.2.840.10008.1.2';
export const explicitLittle = '1.2.840.10008.1.2.1';
export const verification = '1.2.840.10008.1.1';
export const ctStorage = '1.2.840.10008.5.1.4.1.1.2';
export const studyRootFind = '1.2.840.10008.5.1.4.1.2.2.1';
export const studyRootMove = '1.2.840.10008.5.1.4.1.2.2.2';

/** One context for each service, in a fixed order: ids 1, 3, 5, 7. */
export const allContexts = [
  { sopClassUid: verification, transferSyntaxUids: [implicitLittle] },
  { sopClassUid: ctStorage, transferSyntaxUids: [explicitLittle] },
  { sopClassUid: studyRootFind, transferSyntaxUids: [implicitLittle] },
  { sopClassUid: studyRootMove, transferSyntaxUids: [implicitLittle] },
];

/** A collector of what an acceptor tells, and a wait for a certain event. */
export interface AcceptorUnderTest {
  readonly acceptor: Acceptor;
  readonly port: number;
  readonly events: AssociationEvent[];
  /** The first event of this type, present or to come. */
  event<T extends AssociationEvent['type']>(type: T): Promise<AssociationEvent & { type: T }>;
}

/** An acceptor on a free port that admits everything, stopped at the end of the test. */
export async function startAcceptor(
  t: TestContext,
  overrides: Partial<AcceptAssociationsOptions> = {},
): Promise<AcceptorUnderTest> {
  const events: AssociationEvent[] = [];
  const acceptor = await acceptAssociations({
    host: '127.0.0.1',
    port: 0,
    aeTitles: ['ACCEPTOR'],
    implementationClassUid: '1.2.3.4',
    implementationVersionName: 'TEST',
    admit: ({ contexts }) => ({
      accept: true,
      contexts: contexts.map(({ id, transferSyntaxUids }) => ({
        id,
        transferSyntaxUid: transferSyntaxUids[0] as string,
      })),
    }),
    handlers: {},
    onEvent: (event) => events.push(event),
    ...overrides,
  });
  t.after(() => acceptor.stop({ graceMs: 0 }));
  return {
    acceptor,
    port: acceptor.address.port,
    events,
    event: async <T extends AssociationEvent['type']>(type: T) => {
      await eventually(`event ${type}`, () => events.some((event) => event.type === type));
      return events.find((event) => event.type === type) as AssociationEvent & { type: T };
    },
  };
}

/** An association to it, aborted at the end of the test if it is still open. */
export async function associate(
  t: TestContext,
  port: number,
  overrides: Partial<RequestAssociationOptions> = {},
): Promise<RequestedAssociation> {
  const association = await requestAssociation({
    host: '127.0.0.1',
    port,
    calledAeTitle: 'ACCEPTOR',
    callingAeTitle: 'REQUESTOR',
    contexts: allContexts,
    ...overrides,
  });
  t.after(() => association.abort());
  return association;
}

/** All bytes of a data set. */
export async function collect(data: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of data) parts.push(part);
  return Buffer.concat(parts);
}

/** Bytes that differ everywhere, so that a lost or doubled fragment shows. */
export function pattern(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
  return bytes;
}
