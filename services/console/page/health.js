import { ask, byId, draw, element, pill } from './dom.js';

/** Asks whether every service is ready, and draws them. */
export async function refreshHealth() {
  const overall = byId('overall');
  try {
    const { status, checks } = await ask('/health/ready', { anyStatus: true });
    const entries = Object.entries(checks ?? {});
    const failing = entries.filter(([, check]) => !check.ok).map(([name]) => name);
    say(
      overall,
      status === 'ok' ? 'good' : 'bad',
      status === 'ok' ? 'all services ready' : `not ready: ${failing.join(', ')}`,
    );
    draw(byId('services'), entries, (facts) => facts.map(service));
  } catch {
    say(overall, 'bad', 'the console does not answer');
  }
}

function service([name, check]) {
  const parts = Object.entries(check.checks ?? {}).map(([part, { ok }]) => `${part}${ok ? '' : ' ✗'}`);
  const detail = check.ok ? parts.join(' · ') : check.detail;
  return element(
    'li',
    {},
    element('strong', {}, name),
    pill(check.ok ? 'good' : 'bad', check.ok ? 'ready' : 'not ready'),
    element('small', {}, detail || ''),
  );
}

function say(place, kind, text) {
  if (place.textContent === text) return;
  place.className = `pill pill-${kind}`;
  place.textContent = text;
}
