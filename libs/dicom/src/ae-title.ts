/**
 * Tells whether `text` can be an AE title: 1 to 16 printable ASCII characters, no backslash, not all spaces (PS3.5
 * 6.2).
 * Leading and trailing spaces, which do not count, must have been removed: a title has one spelling here.
 */
export function isAeTitle(text: unknown): text is string {
  return typeof text === 'string' && text === text.trim() && /^[\x20-\x5b\x5d-\x7e]{1,16}$/.test(text);
}
