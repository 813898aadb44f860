/* global AbortSignal, document, fetch */
/** Makes an element. Text is always text: nothing that comes from a server is ever read as markup. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? '' : String(value));
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

export const byId = (id) => document.getElementById(id);

const drawn = new WeakMap();

/**
 * Replaces what an element holds, but only when the facts have changed: a selection in an unchanged table
 * stays.
 */
export function draw(place, facts, make) {
  const key = JSON.stringify(facts);
  if (drawn.get(place) === key) return;
  drawn.set(place, key);
  place.replaceChildren(...make(facts));
}

export function pill(kind, text) {
  return element('span', { class: `pill pill-${kind}` }, text);
}

/** One request to this origin. @throws {Error} With the problem's own words. */
export async function ask(path, options = {}) {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? 10_000);
  const answer = await fetch(path, { ...options, cache: 'no-store', signal: timeout });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok && !options.anyStatus)
    throw new Error(body.detail ?? body.title ?? `status ${answer.status}`);
  return body;
}
