/* global document, FormData */
import { ask, byId, element, pill } from './dom.js';

const statusKinds = {
  APPROVED: 'good',
  TRANSCRIBED: 'warn',
  DICTATED: 'warn',
  NEW: 'unknown',
  UNKNOWN: 'unknown',
};

/** Patient data travel in the body of a POST, never in an address that a log or a history keeps. */
export function startSearch(ownCluster) {
  let question = {};
  let cursor = null;
  byId('find').addEventListener('submit', (event) => {
    event.preventDefault();
    const filled = [...new FormData(event.target)].filter(([, value]) => value.trim() !== '');
    question = Object.fromEntries(filled.map(([name, value]) => [name, value.trim()]));
    cursor = null;
    document.querySelector('#found tbody').replaceChildren();
    void search();
  });
  byId('more').addEventListener('click', () => void search());

  async function search() {
    const note = byId('find-note');
    const button = document.querySelector('#find button');
    button.disabled = true;
    note.textContent = 'Asking every cluster …';
    try {
      const body = JSON.stringify({ ...question, ...(cursor === null ? {} : { cursor }) });
      const headers = { 'content-type': 'application/json' };
      const answer = await ask('/api/v1/studies:search', {
        method: 'POST',
        headers,
        body,
        timeoutMs: 60_000,
      });
      show(answer, ownCluster());
      cursor = answer.nextCursor ?? null;
    } catch (error) {
      note.textContent = `Not found out: ${error.message}`;
      byId('answers').replaceChildren();
    } finally {
      button.disabled = false;
    }
  }
}

function show({ items, clusters = [], nextCursor }, own) {
  const table = document.querySelector('#found tbody');
  table.append(...items.map((study) => row(study, own)));
  const count = table.childElementCount;
  byId('find-note').textContent =
    count === 0 ? 'No study matches.' : count === 1 ? '1 study' : `${count} studies`;
  byId('found-box').hidden = count === 0;
  byId('more').hidden = !nextCursor;
  byId('answers').replaceChildren(...clusters.map((outcome) => answered(outcome)));
}

function answered({ cluster, status, detail, rows }) {
  const good = status === 'answered';
  const text = good ? `${cluster}: ${rows}` : `${cluster}: ${status}`;
  return element('li', { class: good ? '' : 'bad', title: detail ?? '' }, text);
}

function row(study, own) {
  const patient = study.patient ?? {};
  const facts = [date(study.studyDate), (study.modalities ?? []).join(' '), study.accessionNumber].filter(
    Boolean,
  );
  const status = study.reportStatus ?? 'UNKNOWN';
  const since = study.objectsSinceApproval ? element('small', {}, 'objects since approval') : undefined;
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, personName(patient.name), element('small', {}, personFacts(patient))),
    element('td', {}, study.studyDescription || 'Study', element('small', {}, facts.join(' · '))),
    element('td', {}, pill(statusKinds[status] ?? 'unknown', status.toLowerCase()), since),
    element('td', { class: 'number' }, study.instanceCount ?? '–'),
    element(
      'td',
      {},
      element('ul', { class: 'chips' }, ...(study.holders ?? []).map((one) => holder(one, own))),
    ),
  );
}

function holder({ cluster, complete, instanceCount, availability }, own) {
  const title = [availability, instanceCount === undefined ? '' : `${instanceCount} objects`]
    .filter(Boolean)
    .join(', ');
  const text = complete === false ? `${cluster} (part)` : cluster;
  return element('li', { class: cluster === own ? 'here' : '', title }, text);
}

function personFacts({ id, issuer, birthDate, sex }) {
  return [id && issuer ? `${id} (${issuer})` : id, date(birthDate), sex].filter(Boolean).join(' · ');
}

/** `DOE^JANE^M` → `DOE, JANE M` (PS3.5 §6.2.1); the first group that has anything. */
function personName(text) {
  const group = (text ?? '').split('=').find((part) => part !== '') ?? '';
  const [family = '', given = '', middle = ''] = group.split('^');
  const first = [given, middle].filter(Boolean).join(' ');
  return [family, first].filter(Boolean).join(', ') || 'No name';
}

function date(text) {
  return /^\d{8}$/.test(text ?? '')
    ? `${text.slice(0, 4)}-${text.slice(4, 6)}-${text.slice(6)}`
    : (text ?? '');
}
