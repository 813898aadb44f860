import { readFileSync } from 'node:fs';
import { configurationPage, serviceConfigs, settingTable } from './configuration.ts';
import { errorsPage } from './error-codes.ts';
import { changeTable, eventsPage } from './events.ts';
import { associationLimitTable, linkLimitTable, requestTimeoutTable } from './limits.ts';
import { fill } from './markdown.ts';
import {
  dcmtkDictionary,
  linkedKeyTable,
  linkPrivateElements,
  privateElementTable,
  studyPrivateElements,
} from './private-elements.ts';
import { queryKeyTables, thirdPartyKeyTable } from './query-keys.ts';
import {
  readableTransferSyntaxTable,
  sopClassTable,
  storageClassTable,
  transferSyntaxTable,
} from './sop-classes.ts';
import { root } from './source.ts';
import { statusTables } from './statuses.ts';

const conformance = 'docs/CONFORMANCE.md';

/** The generated parts of the conformance statement, by the name of their marker. */
function conformanceParts(): ReadonlyMap<string, string> {
  return new Map([
    ['sop-classes', sopClassTable()],
    ['readable-transfer-syntaxes', readableTransferSyntaxTable()],
    ['storage-sop-classes', storageClassTable()],
    ['transfer-syntaxes', transferSyntaxTable()],
    ['association-limits', associationLimitTable()],
    ['request-timeouts', requestTimeoutTable()],
    ['edge-settings', settingTable(serviceConfigs['dimse-edge'] ?? {})],
    ...Object.entries(queryKeyTables).map(([level, text]) => [`${level}-keys`, text] as const),
    ['linked-keys', linkedKeyTable()],
    ['third-party-keys', thirdPartyKeyTable()],
    ...[...statusTables].map(([service, text]) => [`status-${service}`, text] as const),
    ['study-elements', privateElementTable(studyPrivateElements)],
    ['link-elements', privateElementTable(linkPrivateElements)],
    ['link-limits', linkLimitTable()],
    ['changes', changeTable()],
  ]);
}

/**
 * Every page that follows from the code alone, by its path from the project's folder. The page of HTTP routes follows
 * from running services: see `http-page.ts`.
 */
export function referencePages(): ReadonlyMap<string, string> {
  return new Map([
    [conformance, fill(readFileSync(root + conformance, 'utf8'), conformanceParts())],
    ['docs/isthmus.dic', dcmtkDictionary()],
    ['docs/reference/configuration.md', configurationPage()],
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/events.md', eventsPage()],
  ]);
}
