import { code, paragraph, table } from './markdown.ts';
import { aboutDeclaration, interfaceMembers, unionOf } from './source.ts';

const eventsFile = 'libs/domain/src/events.ts';

/** What a change says, and which registers it carries (docs/CONFORMANCE.md B.4). */
const changes: { readonly [type: string]: readonly [aggregate: string, registers: string, meaning: string] } =
  {
    ReportStatusChanged: ['study', '`reports`', 'A report took a step, or was opened again.'],
    StudyCommented: ['study', '`comments`', 'Somebody wrote a comment.'],
    PatientLocationChanged: ['study', '`patientLocation`', 'The patient is somewhere else.'],
    StudyStatusChanged: ['study', '`studyStatus`', 'Study Status ID (0032,000A) changed.'],
    StudyDemographicsChanged: [
      'study',
      '`accessionNumber`, `studyDescription`, `patient`, `reportMoves`',
      'The study is called otherwise, or belongs to another patient.',
    ],
    PatientDemographicsChanged: [
      'patient',
      '`name`, `birthDate`, `sex`, `id`, `issuer`',
      'The patient is called otherwise; all studies of the patient show it.',
    ],
    PatientMerged: [
      'patient',
      '`mergedInto`',
      'Another patient stands for this one; studies of both show that one.',
    ],
    PatientUnmerged: ['patient', '`mergedInto`', 'The patient stands for himself again.'],
    PatientIdentifierChanged: [
      'patient',
      '`mergedInto`',
      'The patient has another ID; this is what is left of the old one.',
    ],
    HolderChanged: [
      'study',
      '`holders` (own entry), `home`',
      'This cluster got, completed or gave up its copy; the first durable store makes the home. ' +
        'Told to every linked cluster.',
    ],
    HomeTransferred: ['study', '`home`', 'Another holder is the home from now on.'],
    StudyObjectsChanged: [
      'study',
      '`objects`',
      'The study has other objects; its manifest travels with the update.',
    ],
    StudyVerified: ['study', '`verification`', 'A RIS gateway found the order of the study, or did not.'],
    StudyFixedUp: ['study', '`fixup`', 'Somebody corrected by hand whose study it is, or its order.'],
    ObjectsRejected: ['study', '`rejections`', 'Objects no longer count, for a reason of IOCM.'],
    ObjectsRestored: ['study', '`rejections`', 'Objects count again.'],
    ObjectsMoved: [
      'study',
      '`objectTargets`, `targets`',
      'Objects belong to another study (split, segment, move), or here again.',
    ],
    StudyMerged: [
      'study',
      '`mergedInto`',
      'All objects of the study belong to another; its UID leads there.',
    ],
    StudyUnmerged: ['study', '`mergedInto`', 'The study stands for itself again.'],
    ClaimGranted: ['study', '`claim`', 'The home gave somebody the study to work on alone.'],
    ClaimRenewed: ['study', '`claimRenewals`', 'The owner of the claim is still at work.'],
    ClaimReleased: ['study', '`claim`', 'The owner is done, or his lease has ended.'],
    ValueRestored: [
      'study or patient',
      'one that an edit wrote',
      'A value that had lost a conflict is there again: an edit like any other.',
    ],
    StateMerged: [
      'study or patient',
      'those that were news',
      'What the state that a linked cluster sent changed here.',
    ],
  };

/** Rows of the table of changes. @throws When the code has a type that is not described here. */
export function changeTable(): string {
  const rows = unionOf(eventsFile, 'ChangeType').map((type) => {
    const described = changes[type];
    if (!described) throw new Error(`say what the event ${type} means`);
    const [aggregate, registers, meaning] = described;
    return [code(type), aggregate, registers, meaning];
  });
  return table(['Type', 'About a', 'Registers', 'Meaning'], rows);
}

const facts = [
  ['InstanceStored', 'INSTANCES', '`instance.<shard>.<Study Instance UID>`'],
  ['OrderPlaced', 'STUDY', '`order.order.<hex of the accession number and its issuer>`'],
  ['VisitBooked', 'STUDY', '`order.visit.<hex of the visit number>`'],
] as const;

function memberTable(file: string, name: string): string {
  return table(
    ['Field', 'Type', 'Meaning'],
    interfaceMembers(file, name).map((one) => [
      code(one.name) + (one.optional ? ' (optional)' : ''),
      code(one.text),
      one.about,
    ]),
  );
}

/** `docs/reference/events.md` */
export function eventsPage(): string {
  const factSections = facts.flatMap(([type, log, subject]) => [
    `### ${type}`,
    '',
    `${aboutDeclaration(eventsFile, type)} In ${log}, subject ${subject}.`,
    '',
    memberTable(eventsFile, type),
    '',
  ]);
  return [
    '# Events',
    '',
    paragraph(
      'Generated from the code: `npm run reference`. Two streams of NATS JetStream hold',
      'everything that happened in a cluster:',
      '`STUDY` (changes to studies and patients, orders, visits, configuration; kept for',
      'ever) and `INSTANCES` (one fact per',
      'stored object). Readers must expect types, versions and fields that they do not know.',
    ),
    '',
    '## Envelope',
    '',
    aboutDeclaration('libs/domain/src/envelope.ts', 'EventEnvelope'),
    '',
    memberTable('libs/domain/src/envelope.ts', 'EventEnvelope'),
    '',
    '## Changes to studies and patients',
    '',
    paragraph(
      'In STUDY, subjects `study.<shard>.<UID with - for .>` and `patient.<shard>.<hex of',
      'the patient key>`. These travel to',
      'linked clusters.',
    ),
    '',
    changeTable(),
    '',
    'Their data:',
    '',
    memberTable(eventsFile, 'Change'),
    '',
    '## Facts',
    '',
    'These stay in their cluster.',
    '',
    ...factSections,
    '### ConfigurationChanged',
    '',
    `${aboutDeclaration('libs/domain/src/configuration.ts', 'ConfigurationChange')} In ` +
      `STUDY, subject \`config.<kind>.<hex of the name>\`.`,
    '',
    memberTable('libs/domain/src/configuration.ts', 'ConfigurationChange'),
    '',
  ].join('\n');
}
