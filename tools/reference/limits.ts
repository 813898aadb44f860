import { dimseEdgeConfig, limitSettings } from '@isthmus/dimse-edge';
import { defaultLimits, defaultTimeouts } from '@isthmus/dimse';
import { incomingLimits } from '@isthmus/domain';
import { bytesText, durationText, sentence, table } from './markdown.ts';
import { interfaceMembers, numberIn, numberOfConstant, objectMembers } from './source.ts';

/** A bound that a setting of dimse-edge decides on, else the library's. */
function limitText(name: string, value: number): string {
  if (!(name in limitSettings)) return valueText(name, value);
  const setting = limitSettings[name as keyof typeof limitSettings];
  return `${valueText(name, dimseEdgeConfig[setting].default ?? value)} (${setting})`;
}

function valueText(name: string, value: number): string {
  if (name.endsWith('Ms')) return durationText(value);
  if (/bytes/i.test(name)) return bytesText(value) + (name.includes('PerSecond') ? '/s' : '');
  return String(value);
}

/** Every bound of an association that the edge accepts. */
export function associationLimitTable(): string {
  const about = new Map(
    interfaceMembers('libs/dimse/src/limits.ts', 'DimseLimits').map((one) => [one.name, one.about]),
  );
  return table(
    ['Limit', 'Value', 'Meaning'],
    Object.entries(defaultLimits).map(([name, value]) => [
      name,
      limitText(name, value),
      sentence(about.get(name) ?? ''),
    ]),
  );
}

/** How long the edge waits for a peer that it calls. */
export function requestTimeoutTable(): string {
  const about = new Map(
    interfaceMembers('libs/dimse/src/requestor.ts', 'RequestTimeouts').map((one) => [one.name, one.about]),
  );
  return table(
    ['Timeout', 'Value', 'Meaning'],
    Object.entries(defaultTimeouts).map(([name, value]) => [
      name,
      durationText(value),
      sentence(about.get(name) ?? ''),
    ]),
  );
}

const incomingMeaning: { readonly [limit: string]: string } = {
  depthMax: 'Nesting of objects and arrays in one item',
  nodesMax: 'Values in one event or state, all levels together',
  idCharactersMax: 'Characters of an event id',
  textCharactersMax: 'Characters of any text',
  pathMax: 'Clusters on a path',
};

const batchMeaning: { readonly [limit: string]: string } = {
  plainBytesMax: 'JSON up to here travels plain, above deflated',
  wireBytesMax: 'Encoded data set that is sent',
  inflatedBytesMax: 'JSON after inflating; a sender stays below, a receiver refuses more',
  manifestObjectsMax: 'Objects in one manifest item; larger manifests travel in parts',
};

/** Bounds of linked updates and link state. */
export function linkLimitTable(): string {
  const batch = objectMembers('services/update-relay/src/batch.ts', 'batchLimits').map(({ name, text }) => {
    return [name, valueText(name, numberIn(text)), described(batchMeaning, name)];
  });
  const incoming = Object.entries(incomingLimits).map(([name, value]) => {
    return [name, String(value), described(incomingMeaning, name)];
  });
  const edge = [
    'linkedUpdateBytesMax',
    valueText('bytes', numberOfConstant('services/dimse-edge/src/linked-update.ts', 'linkedUpdateBytesMax')),
    'Encoded data set that is accepted; more is answered with C000',
  ];
  const clusters = [
    'clustersMax',
    String(numberOfConstant('services/update-relay/src/link-map.ts', 'clustersMax')),
    'Clusters in a link map, and peers of one cluster',
  ];
  return table(
    ['Limit', 'Value', 'Meaning'],
    [...batch, edge, ...incoming, clusters].map(([name, value, meaning]) => [
      name!,
      value!,
      sentence(meaning!),
    ]),
  );
}

function described(meanings: { readonly [name: string]: string }, name: string): string {
  const meaning = meanings[name];
  if (meaning === undefined) throw new Error(`say what the limit ${name} means`);
  return meaning;
}
