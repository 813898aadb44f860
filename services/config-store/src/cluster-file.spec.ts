import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parseClusterFile } from './cluster-file.ts';
import { briefLink, briefStation, linkOf, stationOf } from './entities.ts';
import type { ClusterFileError } from './errors.ts';
import { clusterFileSchema } from './schemas.ts';

const cluster = 'cluster: { id: north, name: North, aeTitle: NORTH, patientDomain: DEMO }\n';
const faultsOf = (text: string): readonly string[] => {
  try {
    parseClusterFile(text, 'cluster.yaml');
    return [];
  } catch (error) {
    return (error as ClusterFileError).faults;
  }
};

describe('cluster.yaml', () => {
  it('is described by the JSON Schema that is published beside the service', () => {
    const published = readFileSync(new URL('../cluster.schema.json', import.meta.url), 'utf8');
    const described: unknown = JSON.parse(JSON.stringify(clusterFileSchema));
    assert.deepEqual(JSON.parse(published), described, 'run node src/write-schema.ts');
  });

  it('is refused with the place of each fault, without what was written there', () => {
    const text = `${cluster}stations:\n  - { aeTitle: CT1, host: h, port: 0, kind: scanner }\nlinks: [{ pier: south }]\nextra: 1\n`;
    assert.deepEqual([...faultsOf(text)].sort(), [
      '/extra: is not known here',
      '/links/0/peer: is required',
      '/links/0/pier: is not known here',
      '/stations/0/kind: must be equal to one of the allowed values',
      '/stations/0/port: must be >= 1',
    ]);
  });

  it('[Q13] names certificates by fingerprint or subject, and says what is neither', () => {
    const station = 'aeTitle: CT1, host: h, port: 104, kind: modality, tls: true';
    const naming = (certificate: string) =>
      faultsOf(`${cluster}stations: [{ ${station}, certificates: [${JSON.stringify(certificate)}] }]\n`);
    const fingerprint = Array.from({ length: 32 }, () => 'aB').join(':');
    for (const right of [fingerprint, 'CN=CT1', 'CN=CT 1,O=Acme\\, Inc.,2.5.4.5=7']) {
      assert.deepEqual(naming(right), [], right);
    }
    for (const wrong of ['CT1', fingerprint.slice(3), 'CN=', 'CN=CT1,', 'CN=a\\b', `CN=\n`]) {
      assert.equal(naming(wrong).length, 1, wrong);
    }
  });

  it('takes `off` for a word, as YAML 1.2 does, and says that a switch wants true or false', () => {
    assert.deepEqual(faultsOf(`${cluster}links: [{ peer: south, enabled: off }]\n`), [
      '/links/0/enabled: must be boolean',
    ]);
  });

  it('is refused when it is no YAML, naming the line', () => {
    assert.match(faultsOf('cluster: [')[0] ?? '', /line 1/);
  });

  it('writes stations and links briefly, and reads the same values back', () => {
    const address = { host: 'h', port: 104 };
    const plain = { aeTitle: 'CT1', ...address, kind: 'modality' as const };
    assert.deepEqual(briefStation(stationOf(plain)), plain);
    const odd = {
      ...plain,
      tls: true,
      certificates: ['CN=CT1,O=Acme\\, Inc.'],
      associationsMax: 3,
      transcodeTo: ['1.2.840.10008.1.2' as const],
      archive: false,
      alsoSendsAs: ['CT2'],
      keepsStatus: true,
    };
    assert.deepEqual(stationOf(briefStation(stationOf(odd))), stationOf(odd));
    assert.deepEqual(briefLink(linkOf({ peer: 'south' }, false), false), { peer: 'south' });
    const half = { peer: 'south', enabled: false, updates: { in: true, out: false } };
    assert.deepEqual(briefLink(linkOf(half, false), false), half);
    assert.deepEqual(briefLink(linkOf({ peer: 'ARCHIVE' }, true), true), { peer: 'ARCHIVE' });
  });
});
