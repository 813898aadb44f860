import type { System } from './system.ts';

/** What is printed when everything runs: where it is, and three commands to try. */
export function greeting({ clusters, dataDirectory, natsVersion }: System, first: string): string {
  const rows = clusters.map((cluster) => [
    cluster.id,
    cluster.aeTitle,
    `127.0.0.1:${cluster.dicomPort}`,
    `http://127.0.0.1:${cluster.httpPort}`,
    cluster.peers.join(', '),
  ]);
  const [here, there] = [clusters[0]!, clusters[1]!];
  return [
    '',
    first,
    '',
    ...table(['cluster', 'AE title', 'DICOM', 'console', 'linked to'], rows),
    '',
    'Try:',
    `  findscu -v -S -aec ${here.aeTitle} -k QueryRetrieveLevel=STUDY -k PatientID=DEMO-1001 -k StudyInstanceUID \\`,
    `    -k StudyDate -k ModalitiesInStudy -k InstanceAvailability 127.0.0.1 ${here.dicomPort}`,
    `  curl -s -X POST http://127.0.0.1:${there.httpPort}/api/v1/studies:search \\`,
    `    -H 'content-type: application/json' -d '{"patientId":"DEMO-1001"}'`,
    `  storescu -aec ${here.aeTitle} +sd +r 127.0.0.1 ${here.dicomPort} YOUR_DICOM_FOLDER`,
    '',
    `nats-server ${natsVersion} · data and logs in ${dataDirectory} · Ctrl-C stops everything`,
    '',
  ].join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  );
  const line = (cells: readonly string[]): string =>
    `  ${cells.map((cell, column) => cell.padEnd(widths[column]!)).join('  ')}`.trimEnd();
  return [line(head), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)];
}
