import { hash as hashOf } from 'node:crypto';
import { tags } from '@isthmus/dicom';
import type { DataSetJson } from '@isthmus/dicom';
import { stringOf } from '@isthmus/dicom';
import { linkAllows, linkOfStation, stationOfAeTitle, tick } from '@isthmus/domain';
import type { Configuration, InstanceStored, InstanceStoredEvent } from '@isthmus/domain';

/** Where an object came from, as far as it matters for what we believe of it. */
export interface Origin {
  /** Set for a copy: the peer (cluster id, or AE title of a third party). */
  readonly pulledFrom: string | undefined;
  readonly provisional: boolean;
  /** Patient domain of the sending station. */
  readonly patientDomain: string | undefined;
}

/**
 * Tells a copy from a new acquisition. Whatever a linked cluster's edge sends is a copy (clusters only pass on what
 * they hold), and so is what comes for a pull of ours. A copy from a cluster whose updates we take is provisional:
 * who the patient is comes with that cluster's study state, not with the header.
 *
 * @param from.pulledFrom - Peer of the pull that the object belongs to, if there is one.
 */
export function originOf(
  configuration: Configuration,
  from: { readonly callingAeTitle: string; readonly pulledFrom: string | undefined },
): Origin {
  const station = stationOfAeTitle(configuration, from.callingAeTitle);
  const cluster = station?.kind === 'cluster' ? station.cluster : undefined;
  const takesUpdates = linkAllows(linkOfStation(configuration, station), 'updates', 'in');
  return {
    pulledFrom: from.pulledFrom ?? cluster,
    provisional: cluster !== undefined && takesUpdates,
    patientDomain: station?.patientDomain,
  };
}

/** The fact of one stored object. The same object, sent again, gives the same id, hence the same event. */
export function instanceStoredEvent(
  facts: Omit<InstanceStored, 'issuer' | 'provisional' | 'pulledFrom' | 'header'>,
  context: {
    readonly cluster: string;
    readonly configuration: Configuration;
    readonly header: DataSetJson;
    readonly origin: Origin;
    readonly now: Date;
  },
): InstanceStoredEvent {
  const { cluster, header, origin, now } = context;
  const issuer =
    nonEmpty(stringOf(header, tags.IssuerOfPatientID)) ??
    nonEmpty(origin.patientDomain) ??
    context.configuration.cluster?.patientDomain ??
    cluster;
  const data: InstanceStored = {
    ...facts,
    header,
    issuer,
    ...(origin.pulledFrom === undefined ? {} : { pulledFrom: origin.pulledFrom }),
    provisional: origin.provisional,
  };
  return {
    id: instanceEventId(facts.sopInstanceUid, facts.dataSetChecksum),
    type: 'InstanceStored',
    source: `${cluster}/dimse-edge`,
    subject: facts.studyInstanceUid,
    time: now.toISOString(),
    origin: cluster,
    hlc: tick('', now.getTime()),
    path: [cluster],
    v: 1,
    data,
  };
}

/** A UUID of version 8 (RFC 9562): made from content alone. */
export function instanceEventId(sopInstanceUid: string, dataSetChecksum: string): string {
  const hash = hashOf('sha256', `InstanceStored\n${sopInstanceUid}\n${dataSetChecksum}`);
  const variant = ((Number.parseInt(hash.slice(16, 17), 16) & 0x3) | 0x8).toString(16);
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `8${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-');
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text.trim() === '' ? undefined : text.trim();
}
