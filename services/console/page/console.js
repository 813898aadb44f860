/* global document, setTimeout */
import { ask, byId } from './dom.js';
import { refreshHealth } from './health.js';
import { refreshLinks } from './links.js';
import { startSearch } from './search.js';

const refreshMs = 2_000;
let cluster;

async function refreshCluster() {
  const { id, name, aeTitle } = await ask('/api/v1/cluster');
  cluster = id;
  byId('cluster-name').textContent = name;
  byId('cluster-facts').textContent = `Cluster ${id} · AE title ${aeTitle}`;
  document.title = `${name} – Isthmus`;
}

/** One round after the other, and none while nobody looks. */
async function refresh() {
  if (!document.hidden) await Promise.allSettled([refreshCluster(), refreshHealth(), refreshLinks()]);
  setTimeout(refresh, refreshMs);
}

startSearch(() => cluster);
void refresh();
