import { own } from '@isthmus/domain';
import type { HeaderJson } from './tables.ts';

/** Attributes of a series or study gathered from its objects: per tag the object that said it, and what it said. */
export type FoldedHeader = {
  readonly [tag: string]: readonly [sopInstanceUid: string, element: HeaderJson[string]];
};

/**
 * Adds what one object says. For each tag the object with the greatest SOP Instance UID wins, and an empty element says
 * nothing: any order of arrival gives the same result, as for the rank 0 registers of the state.
 *
 * @returns `folded` itself when the object brings nothing new.
 */
export function foldHeader(
  folded: FoldedHeader,
  header: HeaderJson,
  sopInstanceUid: string,
  wanted: ReadonlySet<string>,
): FoldedHeader {
  const news: [string, FoldedHeader[string]][] = [];
  for (const tag of wanted) {
    const element = own(header, tag);
    if (!element?.Value?.some((value) => value !== null && value !== '')) continue;
    const known = own(folded, tag);
    if (!known || known[0] < sopInstanceUid) news.push([tag, [sopInstanceUid, element]]);
  }
  return news.length === 0 ? folded : { ...folded, ...Object.fromEntries(news) };
}

/** The gathered attributes as a data set. */
export function unfoldHeader(folded: FoldedHeader): HeaderJson {
  return Object.fromEntries(Object.entries(folded).map(([tag, [, element]]) => [tag, element]));
}
