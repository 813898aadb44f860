/**
 * A value as PostgreSQL's jsonb can keep it: NUL and lone surrogates, which it refuses, are replaced by U+FFFD. They
 * come off the wire in headers that no toolkit should have written; one such object must not halt the projection.
 */
export function storable<Value>(value: Value): Value {
  return replaced(value) as Value;
}

function replaced(value: unknown): unknown {
  if (typeof value === 'string') return clean(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(replaced);
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [clean(name), replaced(member)]));
}

function clean(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed;
}
