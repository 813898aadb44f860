import { hasWildcard, matchesWildcard } from './wildcard.ts';

/** Words of this length or more may have one letter wrong in fuzzy matching. */
const forgivingLength = 5;

/**
 * Matches person names as text with `=` between component groups (PS3.4 C.2.2.2.1, PS3.5 6.2.1): without letter case,
 * trailing `^` aside. A key with one group matches any group of the name; a key with several matches group by group, an
 * empty one matching all. With `fuzzy`, every word of the key is the beginning of, or one letter away from, some
 * word of the name, accents aside.
 */
export function matchesName(key: string, name: string, fuzzy: boolean): boolean {
  const keyGroups = key.split('=');
  const nameGroups = name.split('=');
  const matches = fuzzy ? matchesFuzzy : matchesGroup;
  if (keyGroups.length === 1) return nameGroups.some((group) => matches(key, group));
  return keyGroups.every((group, index) => group.trim() === '' || matches(group, nameGroups[index] ?? ''));
}

function matchesGroup(key: string, group: string): boolean {
  const wanted = trimComponents(fold(key));
  const found = trimComponents(fold(group));
  return hasWildcard(wanted) ? matchesWildcard(wanted, found) : wanted === found;
}

function matchesFuzzy(key: string, group: string): boolean {
  const found = words(group);
  return words(key).every((wanted) => found.some((word) => matchesWord(wanted, word)));
}

function matchesWord(wanted: string, word: string): boolean {
  if (hasWildcard(wanted)) return matchesWildcard(wanted, word);
  return word.startsWith(wanted) || (wanted.length >= forgivingLength && isOneEditAway(wanted, word));
}

/** One letter more, less or other, or two neighbours swapped. */
function isOneEditAway(one: string, other: string): boolean {
  const [shorter, longer] = one.length <= other.length ? [one, other] : [other, one];
  if (longer.length - shorter.length > 1) return false;
  let at = 0;
  while (at < shorter.length && shorter[at] === longer[at]) at++;
  if (longer.length > shorter.length) return shorter.slice(at) === longer.slice(at + 1);
  if (shorter.slice(at + 1) === longer.slice(at + 1)) return true;
  const swapped = shorter[at] === longer[at + 1] && shorter[at + 1] === longer[at];
  return swapped && shorter.slice(at + 2) === longer.slice(at + 2);
}

function words(group: string): string[] {
  return fold(group)
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .split(/[\s^=,.-]+/)
    .filter((word) => word !== '');
}

/** Not `toLocaleLowerCase`: the answer must not depend on the machine. */
function fold(text: string): string {
  return text.normalize('NFC').toLowerCase().trim();
}

/** Trailing empty components do not count (PS3.5 6.2.1.2); components are padded like values. */
function trimComponents(group: string): string {
  const components = group.split('^').map((component) => component.trim());
  while (components.length > 1 && components[components.length - 1] === '') components.pop();
  return components.join('^');
}
