import type { Station } from '@isthmus/domain';
import { openRawAssociation } from '@isthmus/testing';
import type { TestObject } from './objects.ts';
import type { TestEdge } from './start-edge.ts';

/** Sends one object by a raw socket. @returns The status of the response. */
export async function store(
  edge: TestEdge,
  object: TestObject,
  callingAeTitle = 'MODALITY',
): Promise<number> {
  const association = await openRawAssociation({
    port: edge.edge.dicomPort,
    calledAeTitle: edge.aeTitle,
    callingAeTitle,
    abstractSyntax: object.sopClassUid,
    transferSyntax: object.transferSyntaxUid,
  });
  try {
    return await association.store(object);
  } finally {
    await association.release();
  }
}

/** Sends objects and waits until they are in the log. */
export async function storeAll(edge: TestEdge, objects: readonly TestObject[]): Promise<void> {
  for (const object of objects) {
    const status = await store(edge, object);
    if (status !== 0) throw new Error(`status ${status.toString(16)}`);
  }
  await edge.federator.seen(objects.length);
}

/** Two edges that know and are linked to each other. @param more - What is said of each station besides. */
export async function linkEdges(
  one: TestEdge,
  other: TestEdge,
  more: (there: TestEdge) => Partial<Station> = () => ({}),
): Promise<void> {
  for (const [here, there] of [
    [one, other],
    [other, one],
  ] as const) {
    const { aeTitle, cluster } = there;
    await here.station({ aeTitle, cluster, port: there.edge.dicomPort, kind: 'cluster', ...more(there) });
    await here.link({ peer: cluster });
  }
}
