import { tags, thirdPartyKeys, thirdPartyReturnKeys, vrOf } from '@isthmus/dicom';
import { keywordText, table, tagText } from './markdown.ts';
import { constant, listOf, sourceFile } from './source.ts';

const keysFile = 'services/query-federator/src/query-keys.ts';
const keywords: ReadonlyMap<string, string> = new Map(
  Object.entries(tags).map(([keyword, tag]): [string, string] => [tag, keyword]),
);

/** `tags.PatientID` → `00100020`; a tag in quotes is itself. */
function tagOf(expression: string): string {
  const [, literal] = /^'([0-9A-F]{8})'$/.exec(expression) ?? [];
  if (literal !== undefined) return literal;
  const tag = (tags as { readonly [keyword: string]: string })[expression.replace(/^tags\./, '')];
  if (tag === undefined) throw new Error(`no tag ${expression}`);
  return tag;
}

const list = (file: string, name: string): readonly string[] => listOf(file, name).map(tagOf);

/** What an edge reads from each object: only that can be answered, and what state and counts say. */
const fromHeaders: ReadonlySet<string> = new Set(list('services/dimse-edge/src/header.ts', 'wantedTags'));
/** Elements that rows get from the state or from counting: those that rows.ts names. */
const fromState: ReadonlySet<string> = new Set(
  [...sourceFile('services/query-federator/src/rows.ts').text.matchAll(/tags\.(\w+)/g)].map(([one]) =>
    tagOf(one),
  ),
);
const unique: ReadonlySet<string> = new Set(
  [
    ...constant(keysFile, 'uniqueKey')
      .getText()
      .matchAll(/tags\.\w+/g),
  ].map(([one]) => tagOf(one)),
);
const wildcardVrs: ReadonlySet<string> = new Set(
  listOf('libs/dicom/src/matching.ts', 'wildcardVrs').map((one) => one.replaceAll("'", '')),
);

function matchingOf(tag: string): string {
  const vr = vrOf(tag);
  const mark = unique.has(tag) ? 'unique; ' : '';
  if (vr === 'SQ') return `${mark}sequence`;
  if (vr === 'UI') return `${mark}single value, list of UIDs`;
  if (vr === 'PN') return `${mark}single value, wildcard; without letter case`;
  if (vr === 'DA' || vr === 'TM' || vr === 'DT') return `${mark}single value, range`;
  return mark + (wildcardVrs.has(vr) ? 'single value, wildcard' : 'single value');
}

function sourceOf(tag: string): string {
  const sources = [
    ...(fromHeaders.has(tag) ? ['objects'] : []),
    ...(fromState.has(tag) ? ['state or count'] : []),
  ];
  return sources.length === 0 ? 'nothing yet: always empty' : sources.join(', ');
}

function keyTable(keys: readonly string[]): string {
  return table(
    ['Attribute', 'Tag', 'VR', 'Matching', 'Answered from'],
    keys.map((tag) => {
      const keyword = keywords.get(tag) ?? '';
      return [keywordText(keyword), tagText(tag), vrOf(tag), matchingOf(tag), sourceOf(tag)];
    }),
  );
}

export const queryKeyTables: { readonly [level: string]: string } = {
  patient: keyTable([...list(keysFile, 'patientKeys'), ...list(keysFile, 'patientCountKeys')]),
  study: keyTable(list(keysFile, 'studyKeys')),
  series: keyTable(list(keysFile, 'seriesKeys')),
  image: keyTable(list(keysFile, 'imageKeys')),
};

/** Keys of a C-FIND to a third party, by level. */
export function thirdPartyKeyTable(): string {
  const names = (keys: readonly string[]): string =>
    keys.map((tag) => keywordText(keywords.get(tag) ?? '')).join(', ');
  return table(
    ['Level', 'Sent, with its value where the query has one', 'Sent without a value, when asked for'],
    Object.entries(thirdPartyKeys).map(([level, keys]) => {
      return [level, names(keys), names(thirdPartyReturnKeys[level as keyof typeof thirdPartyKeys])];
    }),
  );
}
