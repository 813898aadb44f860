import type { Configuration } from '@isthmus/domain';
import { Compile } from 'typebox/compile';
import type { Static } from 'typebox';
import { LineCounter, parseDocument, stringify } from 'yaml';
import { briefLink, briefStation, clusterOf } from './entities.ts';
import { ClusterFileError } from './errors.ts';
import { isThirdParty } from './rules.ts';
import { clusterFileSchema } from './schemas.ts';

export type ClusterFile = Static<typeof clusterFileSchema>;

const fileBytesMax = 4 * 1024 * 1024;
const faultsMax = 20;
const validator = Compile(clusterFileSchema);

/**
 * Reads a `cluster.yaml` (YAML 1.2; JSON is YAML).
 *
 * @param name - How errors name the file.
 * @throws {ClusterFileError} With each fault, its JSON Pointer and, for broken YAML, its line.
 */
export function parseClusterFile(text: string, name: string): ClusterFile {
  if (Buffer.byteLength(text) > fileBytesMax)
    throw new ClusterFileError(name, [`larger than ${fileBytesMax} bytes`]);
  const document = parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: true });
  if (document.errors.length > 0) {
    throw new ClusterFileError(
      name,
      document.errors.slice(0, faultsMax).map((error) => error.message.split('\n')[0] ?? ''),
    );
  }
  const value: unknown = document.toJS({ maxAliasCount: 100 });
  if (validator.Check(value)) return value;
  const faults = validator
    .Errors(value)
    // An unknown field is told once by its own place, and once more by the object around it.
    .filter((fault) => fault.keyword !== 'additionalProperties')
    .map(({ keyword, instancePath, message, params }) => {
      const missing =
        keyword === 'required' ? (params as { requiredProperties: string[] }).requiredProperties : [];
      if (missing.length > 0) return `${instancePath}/${missing.join(', ')}: is required`;
      return `${instancePath || '/'}: ${keyword === 'boolean' ? 'is not known here' : message}`;
    });
  throw new ClusterFileError(name, faults.slice(0, faultsMax));
}

/**
 * The configuration as a `cluster.yaml`, in the order in which things were first configured and without
 * defaults. Seeding an empty cluster with it gives the same configuration, and the export of that is the same
 * text.
 */
export function exportClusterFile(configuration: Configuration, order: ReadonlyMap<string, number>): string {
  const first = (key: string): number => order.get(key) ?? Number.MAX_SAFE_INTEGER;
  const stations = [...configuration.stations.values()]
    .sort((a, b) => first(`station/${a.aeTitle}`) - first(`station/${b.aeTitle}`))
    .map(briefStation);
  const links = [...configuration.links.values()]
    .sort((a, b) => first(`link/${a.peer}`) - first(`link/${b.peer}`))
    .map((link) => briefLink(link, isThirdParty(configuration, link.peer)));
  return stringify({
    ...(configuration.cluster ? { cluster: clusterOf(configuration.cluster) } : {}),
    stations,
    links,
  });
}
