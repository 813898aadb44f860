/** Which clusters there are, where they listen and who is linked to whom. Pure. */

export type Topology = 'mesh' | 'ring' | 'chain' | 'hub';
export const topologies: readonly Topology[] = ['mesh', 'ring', 'chain', 'hub'];

export interface ClusterPlan {
  readonly id: string;
  readonly name: string;
  readonly aeTitle: string;
  readonly dicomPort: number;
  readonly httpPort: number;
  readonly hl7Port: number;
  /** Ids of the clusters that it is linked to. */
  readonly peers: readonly string[];
}

const names = ['north', 'south', 'east', 'west', 'centre', 'coast'];
const firstPorts = { dicom: 11112, http: 8080, hl7: 2575 };

export const clustersMin = 2;
export const clustersMax = 6;

/**
 * @param topology - `hub`: the last cluster is the hub, the others are spokes and linked to it alone. `ring` of two is
 *   the same as a chain.
 * @param portOffset - Added to every well-known port; the tests start several systems side by side.
 */
export function planClusters(count: number, topology: Topology, portOffset = 0): readonly ClusterPlan[] {
  if (!Number.isInteger(count) || count < clustersMin || count > clustersMax) {
    throw new RangeError(`clusters: a whole number from ${clustersMin} to ${clustersMax}`);
  }
  const ids = names.slice(0, count);
  if (topology === 'hub') ids[count - 1] = 'hub';
  return ids.map((id, index) => ({
    id,
    name: id.charAt(0).toUpperCase() + id.slice(1),
    aeTitle: id.toUpperCase(),
    dicomPort: firstPorts.dicom + portOffset + index,
    httpPort: firstPorts.http + portOffset + index,
    hl7Port: firstPorts.hl7 + portOffset + index,
    peers: ids.filter((_, other) => other !== index && linked(topology, count, index, other)),
  }));
}

function linked(topology: Topology, count: number, a: number, b: number): boolean {
  switch (topology) {
    case 'mesh':
      return true;
    case 'chain':
      return Math.abs(a - b) === 1;
    case 'ring':
      return Math.abs(a - b) === 1 || Math.abs(a - b) === count - 1;
    case 'hub':
      return a === count - 1 || b === count - 1;
  }
}
