import { canonicalJson, compareText } from './canonical.ts';
import { classOfObject } from './event-classes.ts';
import type { HeaderAttributes } from './events.ts';
import { personNameText } from './person-name.ts';

/** What a presentation state or a key object selection says of itself, as far as its header tells. */
export interface Annotation {
  readonly sopInstanceUid: string;
  readonly kind: 'presentation-states' | 'key-images';
  /** Content Creator's Name (0070,0084), else Operators' Name (0008,1070); empty when the header names nobody. */
  readonly author: string;
  /** Content Label (0070,0080), or the meaning of the document title (0040,A043). */
  readonly label: string;
  /** Content Description (0070,0081). */
  readonly description: string;
  /** Presentation Creation Date and Time (0070,0082/0083), else Content Date and Time: `YYYYMMDDHHMMSS.FFFFFF`, or a part. */
  readonly created: string;
  /** SOP Instance UIDs in Referenced Series Sequence (0008,1115), sorted. Empty for key objects: their body says it. */
  readonly refersTo: readonly string[];
}

/** Reads one object's header; undefined when it is no annotation. */
export function annotationOf(
  sopInstanceUid: string,
  sopClassUid: string,
  header: HeaderAttributes,
): Annotation | undefined {
  const kind = classOfObject(sopClassUid);
  if (kind === 'objects') return undefined;
  const text = (tag: string): string => textOf(header, tag);
  const name = (tag: string): string => personNameText(valueOf(header, tag));
  return {
    sopInstanceUid,
    kind,
    author: name('00700084') || name('00081070'),
    label: text('00700080') || titleOf(header),
    description: text('00700081'),
    created: text('00700082') + text('00700083') || text('00080023') + text('00080033'),
    refersTo: referencesOf(header),
  };
}

/**
 * What replaced what, by SOP Instance UID. DICOM has no attribute for it: of annotations of one kind by the same author,
 * with the same label, on the same images, the later created is taken to replace the one before. Those without author or
 * references replace nothing and are not replaced.
 */
export function replacedBy(annotations: Iterable<Annotation>): ReadonlyMap<string, string> {
  const groups = new Map<string, Annotation[]>();
  for (const one of annotations) {
    if (one.author === '' || one.refersTo.length === 0 || one.created === '') continue;
    const key = canonicalJson([one.kind, one.author, one.label, one.refersTo]);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const replaced = new Map<string, string>();
  for (const group of groups.values()) {
    group.sort(
      (a, b) => compareText(a.created, b.created) || compareText(a.sopInstanceUid, b.sopInstanceUid),
    );
    group.slice(1).forEach((later, place) => {
      const earlier = group[place];
      if (earlier && earlier.created !== later.created)
        replaced.set(earlier.sopInstanceUid, later.sopInstanceUid);
    });
  }
  return replaced;
}

type Attributes = HeaderAttributes;

function valueOf(header: Attributes, tag: string): unknown {
  return Object.hasOwn(header, tag) ? header[tag]?.Value?.[0] : undefined;
}

function textOf(header: Attributes, tag: string): string {
  const value = valueOf(header, tag);
  return typeof value === 'string' ? value.trim() : '';
}

function itemsOf(header: Attributes, tag: string): readonly Attributes[] {
  const values = Object.hasOwn(header, tag) ? (header[tag]?.Value ?? []) : [];
  return values.filter((item): item is Attributes => typeof item === 'object' && item !== null);
}

function titleOf(header: Attributes): string {
  const [title] = itemsOf(header, '0040A043');
  return title ? textOf(title, '00080104') : '';
}

function referencesOf(header: Attributes): readonly string[] {
  const objects = itemsOf(header, '00081115').flatMap((series) => itemsOf(series, '00081140'));
  const uids = objects.map((object) => textOf(object, '00081155')).filter((uid) => uid !== '');
  return [...new Set(uids)].sort(compareText);
}
