/**
 * Tells whether `text` fits a pattern in which `*` stands for any characters and `?` for exactly one (PS3.4 C.2.2.2.4).
 * Each part between stars is looked for once, from where the one before it ended: there is no backtracking over
 * stars, so that no pattern makes it slow.
 */
export function matchesWildcard(pattern: string, text: string): boolean {
  const parts = pattern.split('*').map((part) => [...part]);
  const characters = [...text];
  const first = parts[0]!;
  if (parts.length === 1) return first.length === characters.length && fitsAt(first, characters, 0);
  const last = parts[parts.length - 1]!;
  if (first.length + last.length > characters.length) return false;
  const end = characters.length - last.length;
  if (!fitsAt(first, characters, 0) || !fitsAt(last, characters, end)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    while (at + part.length <= end && !fitsAt(part, characters, at)) at++;
    if (at + part.length > end) return false;
    at += part.length;
  }
  return true;
}

/** `*` or `?` is in it. */
export function hasWildcard(text: string): boolean {
  return text.includes('*') || text.includes('?');
}

function fitsAt(part: readonly string[], characters: readonly string[], at: number): boolean {
  for (let index = 0; index < part.length; index++) {
    if (part[index] !== '?' && part[index] !== characters[at + index]) return false;
  }
  return true;
}
