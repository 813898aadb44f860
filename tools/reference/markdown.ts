/** Small parts of a Markdown page. */

/** A table. A `|` in a cell is escaped, a line break becomes a space. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}

function cell(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll('|', '\\|').trim();
}

const proseWidth = 118;

/** Pieces of text as one paragraph, wrapped. */
export function paragraph(...pieces: readonly string[]): string {
  const lines = [''];
  for (const word of pieces.join(' ').split(/\s+/)) {
    const line = lines.at(-1) ?? '';
    if (line === '') lines[lines.length - 1] = word;
    else if (line.length + 1 + word.length <= proseWidth) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

export function code(text: string): string {
  return text === '' ? '' : `\`${text}\``;
}

/** `1048576` → `1 MiB`; what is no whole number of a binary unit stays a number of bytes. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && value % 1024 === 0 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value} ${units[unit]}`;
}

/** `60000` → `60 s`. */
export function durationText(ms: number): string {
  return ms >= 1000 && ms % 100 === 0 ? `${ms / 1000} s` : `${ms} ms`;
}

/** `00100020` → `(0010,0020)`. */
export function tagText(tag: string): string {
  return `(${tag.slice(0, 4)},${tag.slice(4)})`;
}

/** `ReferringPhysicianName` → `Referring Physician Name`, `SOPClassesInStudy` → `SOP Classes In Study`. */
export function keywordText(keyword: string): string {
  return keyword
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll(/([A-Z]+)([A-Z][a-z])/g, '$1 $2')
    .replaceAll(/\bUI Ds\b/g, 'UIDs')
    .replaceAll(/\bI Ds\b/g, 'IDs');
}

/** With a full stop, unless it ends already. */
export function sentence(text: string): string {
  const trimmed = text.trim();
  return trimmed === '' || /[.!?:…]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

const begin = (name: string): string => `<!-- generated:${name} -->`;
const end = '<!-- /generated -->';

/**
 * Replaces what stands between the markers of each part.
 * @throws When a page has no marker for a part, or a marker that no part is for.
 */
export function fill(page: string, parts: ReadonlyMap<string, string>): string {
  const open = [...page.matchAll(/<!-- generated:([a-z0-9-]+) -->/g)].map(([, name]) => name as string);
  const unknown = open.filter((name) => !parts.has(name));
  const unused = [...parts.keys()].filter((name) => !open.includes(name));
  if (unknown.length > 0) throw new Error(`nothing is generated for: ${unknown.join(', ')}`);
  if (unused.length > 0) throw new Error(`the page has no place for: ${unused.join(', ')}`);
  return open.reduce((text, name) => {
    const from = text.indexOf(begin(name)) + begin(name).length;
    const to = text.indexOf(end, from);
    if (to < 0) throw new Error(`the marker ${name} is not closed`);
    return `${text.slice(0, from)}\n\n${parts.get(name) ?? ''}\n\n${text.slice(to)}`;
  }, page);
}
