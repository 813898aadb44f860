interface Family {
  readonly head: string[];
  readonly samples: string[];
}

/**
 * One text in Prometheus' exposition format of many: each metric's HELP and TYPE stand once, before all its
 * samples, as the format demands. A sample without a `service` label gets that of its source.
 */
export function mergeMetrics(
  sources: readonly { readonly service: string; readonly text: string }[],
): string {
  const families = new Map<string, Family>();
  for (const { service, text } of sources) {
    let family: Family = { head: [], samples: [] };
    for (const line of text.split('\n')) {
      const head = /^# (HELP|TYPE) (\S+)/.exec(line);
      if (head) {
        const name = head[2] as string;
        family = families.get(name) ?? { head: [], samples: [] };
        families.set(name, family);
        const kind = `# ${head[1]} `;
        if (!family.head.some((known) => known.startsWith(kind))) family.head.push(line);
      } else if (line !== '' && !line.startsWith('#')) {
        family.samples.push(labelled(line, service));
      }
    }
  }
  return [...families.values()]
    .map(({ head, samples }) => `${[...head, ...samples].join('\n')}\n`)
    .join('\n');
}

function labelled(line: string, service: string): string {
  const [, name = '', labels, rest = ''] = /^([A-Za-z_:][\w:]*)(?:\{(.*)\})?( .*)$/.exec(line) ?? [];
  if (name === '' || (labels !== undefined && /(^|,)service="/.test(labels))) return line;
  const own = `service="${service}"`;
  return `${name}{${labels === undefined || labels === '' ? own : `${labels},${own}`}}${rest}`;
}
