/** A PN value of the DICOM JSON Model (PS3.18 F.2.2). */
export interface PersonNameJson {
  readonly Alphabetic?: string;
  readonly Ideographic?: string;
  readonly Phonetic?: string;
}

/**
 * The three component groups as one text with `=` between (PS3.5 §6.2.1.2), trailing empty groups left out.
 */
export function personNameText(name: unknown): string {
  if (typeof name === 'string') return name.trim();
  if (typeof name !== 'object' || name === null) return '';
  const { Alphabetic, Ideographic, Phonetic } = name as { readonly [group: string]: unknown };
  return [Alphabetic, Ideographic, Phonetic]
    .map((group) => (typeof group === 'string' ? group.trim() : ''))
    .join('=')
    .replace(/=+$/, '');
}

/** The reverse of `personNameText`. */
export function personNameJson(text: string): PersonNameJson {
  const [alphabetic, ideographic, phonetic] = text.split('=', 3);
  return {
    ...(alphabetic ? { Alphabetic: alphabetic } : {}),
    ...(ideographic ? { Ideographic: ideographic } : {}),
    ...(phonetic ? { Phonetic: phonetic } : {}),
  };
}
