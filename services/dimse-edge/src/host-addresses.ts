import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** How long an answer of the resolver holds. */
const holdsMs = 30_000;
/** Host names are configured, so they are few; beyond this the oldest is looked up anew. */
const hostsMax = 1_000;

/** Addresses of a station's host, remembered for a while. A name that does not resolve has none. */
export function createHostAddresses(resolve: (host: string) => Promise<readonly string[]> = resolveHost): {
  addressesOf(host: string): Promise<readonly string[]>;
} {
  const known = new Map<string, { addresses: readonly string[]; at: number }>();
  return {
    addressesOf: async (host) => {
      if (isIP(host)) return [host];
      const found = known.get(host);
      if (found && performance.now() - found.at < holdsMs) return found.addresses;
      const addresses = await resolve(host).catch(() => found?.addresses ?? []);
      if (known.size >= hostsMax) known.delete(known.keys().next().value as string);
      known.set(host, { addresses, at: performance.now() });
      return addresses;
    },
  };
}

async function resolveHost(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}
