import { requestAssociation } from '@isthmus/dimse';
import { presentationStateFor, syntheticStudy } from '@isthmus/testing/synthetic';
import type { SyntheticInstance, SyntheticPatient, SyntheticStudyOptions } from '@isthmus/testing/synthetic';
import type { ClusterPlan } from './plan.ts';

interface SampleStudy extends Omit<SyntheticStudyOptions, 'seed' | 'patient'> {
  /** Position of the cluster that made it; wraps around when there are fewer clusters. */
  readonly at: number;
  readonly marked?: boolean;
}

/** Invented people with priors at several sites: what a reader in a group of hospitals meets. */
const patients: readonly (SyntheticPatient & { readonly studies: readonly SampleStudy[] })[] = [
  {
    id: 'DEMO-1001',
    name: 'Winter^Clara',
    birthDate: '19580412',
    sex: 'F',
    studies: [
      {
        at: 0,
        modality: 'CT',
        studyDate: '20261103',
        description: 'CT chest follow-up',
        accessionNumber: 'N-26-1103',
      },
      {
        at: 1,
        modality: 'CT',
        studyDate: '20260506',
        description: 'CT chest',
        accessionNumber: 'S-26-0506',
        marked: true,
      },
      { at: 2, modality: 'CR', studyDate: '20251211', description: 'Chest PA', accessionNumber: 'E-25-1211' },
      { at: 1, modality: 'CR', studyDate: '20240917', description: 'Chest PA', accessionNumber: 'S-24-0917' },
    ],
  },
  {
    id: 'DEMO-1002',
    name: 'Okafor^Daniel',
    birthDate: '19711130',
    sex: 'M',
    studies: [
      {
        at: 1,
        modality: 'MR',
        studyDate: '20261020',
        description: 'MR head',
        bodyPart: 'HEAD',
        accessionNumber: 'S-26-1020',
      },
      {
        at: 0,
        modality: 'MR',
        studyDate: '20250302',
        description: 'MR head',
        bodyPart: 'HEAD',
        accessionNumber: 'N-25-0302',
      },
      { at: 2, modality: 'CT', studyDate: '20230714', description: 'CT chest', accessionNumber: 'E-23-0714' },
    ],
  },
  {
    id: 'DEMO-1003',
    name: 'Müller^Jürgen',
    birthDate: '19450108',
    sex: 'M',
    studies: [
      { at: 2, modality: 'CR', studyDate: '20261112', description: 'Chest PA', accessionNumber: 'E-26-1112' },
      { at: 0, modality: 'CR', studyDate: '20260201', description: 'Chest PA', accessionNumber: 'N-26-0201' },
      { at: 1, modality: 'CT', studyDate: '20250830', description: 'CT chest', accessionNumber: 'S-25-0830' },
    ],
  },
];

/**
 * Sends the sample studies to the clusters by C-STORE, as a modality would. Objects that a cluster has already are
 * acknowledged without a second copy, so that loading twice does no harm.
 * @returns studies sent
 */
export async function loadSamples(clusters: readonly ClusterPlan[]): Promise<number> {
  const byCluster = new Map<ClusterPlan, SyntheticInstance[]>();
  let studies = 0;
  for (const { studies: own, ...patient } of patients) {
    for (const { at, marked, ...study } of own) {
      const cluster = clusters[at % clusters.length]!;
      const options = {
        ...study,
        patient,
        seed: `sample/${study.accessionNumber}`,
        institution: `${cluster.name} Hospital`,
      };
      const images = syntheticStudy(options);
      const objects = marked ? [...images, presentationStateFor(images[0]!)] : images;
      byCluster.set(cluster, [...(byCluster.get(cluster) ?? []), ...objects]);
      studies += 1;
    }
  }
  await Promise.all([...byCluster].map(([cluster, objects]) => send(cluster, objects)));
  return studies;
}

async function send(cluster: ClusterPlan, objects: readonly SyntheticInstance[]): Promise<void> {
  const classes = new Set(objects.map((object) => object.sopClassUid));
  const association = await requestAssociation({
    host: '127.0.0.1',
    port: cluster.dicomPort,
    calledAeTitle: cluster.aeTitle,
    callingAeTitle: 'PHANTOM',
    contexts: [...classes].map((sopClassUid) => ({
      sopClassUid,
      transferSyntaxUids: [objects[0]!.transferSyntaxUid],
    })),
  });
  try {
    for (const object of objects) {
      const { status, errorComment } = await association.cStore(object);
      if (status !== 0) {
        throw new Error(
          `${cluster.aeTitle} refused a sample object: status 0x${status.toString(16)} ${errorComment ?? ''}`,
        );
      }
    }
  } finally {
    await association.release();
  }
}
