/* global document */
import { ask, byId, draw, element, pill } from './dom.js';

const options = ['internalQueries', 'externalQueries', 'updates', 'prefetching'];

/** Reads the link table and the status of each link, and draws them. */
export async function refreshLinks() {
  const note = byId('links-note');
  const body = document.querySelector('#links tbody');
  try {
    const { items } = await ask('/api/v1/links');
    const rows = await Promise.all(items.map(async (link) => ({ link, status: await statusOf(link.peer) })));
    draw(body, rows, (facts) => (facts.length > 0 ? facts.map(row) : [emptyRow()]));
    note.textContent = 'Every 2 seconds';
  } catch (error) {
    note.textContent = `Not up to date: ${error.message}`;
  }
}

function statusOf(peer) {
  return ask(`/api/v1/links/${encodeURIComponent(peer)}/status`).catch((error) => ({
    unknown: error.message,
  }));
}

function row({ link, status }) {
  const updates = status.updates ?? {};
  const queued = updates.queued === undefined ? '–' : `${updates.queued}${updates.moreQueued ? '+' : ''}`;
  const error = status.unknown ?? updates.lastError ?? status.lastError ?? '';
  const warnings = (link.warnings ?? []).map((warning) => element('small', {}, warning.detail));
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, link.peer, state(link, status), ...warnings),
    element('td', {}, link.enabled ? pill('good', 'on') : pill('unknown', 'off')),
    ...options.map((option) => element('td', {}, ...ways(link, option))),
    element('td', { class: 'number' }, queued, parked(updates)),
    element('td', { class: 'number' }, lag(updates)),
    element('td', { class: 'error' }, error === '' ? '–' : error),
  );
}

function state(link, status) {
  if (!link.enabled) return element('small', {}, 'not linked');
  if (status.reachable === undefined) return element('small', {}, 'state unknown');
  const trip = typeof status.roundTripMs === 'number' ? `, ${Math.round(status.roundTripMs)} ms` : '';
  return element(
    'small',
    {},
    status.reachable ? pill('good', `reachable${trip}`) : pill('bad', 'not reachable'),
  );
}

function ways(link, option) {
  return ['in', 'out'].map((direction) => {
    const on = link.enabled && link[option][direction];
    const text = element('span', { class: 'hidden' }, on ? ' on' : ' off');
    return element('span', { class: `way way-${on ? 'on' : 'off'}` }, direction, text);
  });
}

function lag(updates) {
  if (updates.oldestQueued) return age(Date.now() - Date.parse(updates.oldestQueued));
  return updates.queued === 0 ? 'none' : '–';
}

/** Whole steps only, so that the table is redrawn when something is new to see. */
function age(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h`;
}

function parked(updates) {
  return updates.parked > 0 ? element('small', {}, pill('warn', `${updates.parked} parked`)) : undefined;
}

function emptyRow() {
  const text = 'No links yet. Add the peer’s station, then PUT /api/v1/links/{peer}.';
  return element('tr', {}, element('td', { colspan: 9, class: 'quiet' }, text));
}
