/** One line of the table: what was asked for and what came out. */
export interface Finding {
  readonly what: string;
  /** Medians, with unit. */
  readonly ours: string;
  readonly peer: string;
  /** The figure that is compared with what was asked. */
  readonly reached: string;
  readonly asked: string;
  /** Undefined: nothing was asked, for information. */
  readonly met: boolean | undefined;
}

export interface Report {
  readonly findings: readonly Finding[];
  readonly notes: readonly string[];
  add(finding: Finding): void;
  note(text: string): void;
}

export function createReport(): Report {
  const findings: Finding[] = [];
  const notes: string[] = [];
  return {
    findings,
    notes,
    add: (finding) => void findings.push(finding),
    note: (text) => void notes.push(text),
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Compares run by run, since the machine's speed drifts: the median of the ratios, with least and most. */
export function ratioFinding(
  what: string,
  ours: readonly number[],
  peer: readonly number[],
  options: { readonly unit: string; readonly atLeast?: number },
): Finding {
  const ratios = ours.map((rate, run) => rate / peer[run]!);
  const ratio = median(ratios);
  const { unit, atLeast } = options;
  return {
    what,
    ours: `${shown(median(ours))} ${unit}`,
    peer: `${shown(median(peer))} ${unit}`,
    reached: `${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
    asked: atLeast === undefined ? '' : `at least ${atLeast}`,
    met: atLeast === undefined ? undefined : ratio >= atLeast,
  };
}

/** A figure of ours alone, against a bound. */
export function boundFinding(
  what: string,
  values: readonly number[],
  options: { readonly unit: string; readonly below: number },
): Finding {
  const value = median(values);
  const { unit, below } = options;
  return {
    what,
    ours: `${shown(value)} ${unit}`,
    peer: '',
    reached: `${shown(value)} ${unit} (${shown(Math.min(...values))} to ${shown(Math.max(...values))})`,
    asked: `below ${below} ${unit}`,
    met: value < below,
  };
}

export function shown(value: number): string {
  return Math.abs(value) >= 100
    ? value.toFixed(0)
    : Math.abs(value) >= 10
      ? value.toFixed(1)
      : value.toFixed(2);
}

const columns = ['what', 'Isthmus', 'peer', 'reached', 'asked', 'met'] as const;

/** A Markdown table, columns padded so that it is also readable as it is. */
export function tableOf(findings: readonly Finding[]): string {
  const rows = findings.map((one) => [
    one.what,
    one.ours,
    one.peer,
    one.reached,
    one.asked,
    one.met === undefined ? '' : one.met ? 'yes' : 'NO',
  ]);
  const widths = columns.map((name, at) => Math.max(name.length, ...rows.map((row) => row[at]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at]!)).join(' | ')} |`;
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}
