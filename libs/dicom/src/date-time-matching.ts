/** From the first to the last microsecond that a value with its precision can mean. */
interface Span {
  readonly from: number;
  readonly to: number;
}

const microsecondsPerDay = 86_400_000_000;
const forever: Span = { from: -Infinity, to: Infinity };

/** Value representations with range matching (PS3.4 C.2.2.2.5). */
export type TemporalVr = 'DA' | 'TM' | 'DT';

export function isTemporalVr(vr: string): vr is TemporalVr {
  return vr === 'DA' || vr === 'TM' || vr === 'DT';
}

/**
 * Single value and range matching of dates and times: `A`, `A-B`, `A-`, `-B`, bounds included (PS3.4 C.2.2.2.5). A
 * value means the whole time that its precision leaves open: the time `10` is 10:00 to 10:59:59.999999, and it
 * matches what lies within. Dates `2020.01.31` and times `10:15:00` of ACR-NEMA are understood. Date times with an
 * offset from UTC are compared in UTC, those without as they stand. What is not a date or time matches nothing but
 * itself.
 */
export function matchesTemporal(vr: TemporalVr, requested: string, candidate: string): boolean {
  const wanted = rangeOf(vr, requested);
  const found = spanOf(vr, candidate);
  if (wanted === undefined || found === undefined) return requested === candidate;
  return wanted.from <= found.from && found.from <= wanted.to;
}

/**
 * Combined range matching of a date and a time (PS3.4 C.2.2.2.5.4, when both sides agreed to it):
 * `20200101-20200103` with `1000-1800` means from 10:00 of the first day to 18:00 of the last. Undefined when either
 * key is not a range of the right form, so that each is matched alone.
 */
export function matchesCombined(
  requested: { readonly date: string; readonly time: string },
  candidate: { readonly date: string; readonly time: string },
): boolean | undefined {
  const dates = splitRange('DA', requested.date);
  const times = splitRange('TM', requested.time);
  const date = spanOf('DA', candidate.date);
  if (dates === undefined || times === undefined || date === undefined) return undefined;
  const time = spanOf('TM', candidate.time) ?? { from: 0, to: microsecondsPerDay - 1 };
  const from = dates.from === '' ? -Infinity : edge(dates.from, times.from, 'from');
  const to = dates.to === '' ? Infinity : edge(dates.to, times.to, 'to');
  if (from === undefined || to === undefined) return undefined;
  const moment = date.from + time.from;
  return from <= moment && moment <= to;
}

function edge(date: string, time: string, side: 'from' | 'to'): number | undefined {
  const day = spanOf('DA', date);
  const ofDay = time === '' ? { from: 0, to: microsecondsPerDay - 1 } : spanOf('TM', time);
  if (day === undefined || ofDay === undefined) return undefined;
  return day.from + ofDay[side];
}

function rangeOf(vr: TemporalVr, requested: string): Span | undefined {
  const parts = splitRange(vr, requested);
  if (parts === undefined) return spanOf(vr, requested);
  const from = parts.from === '' ? forever : spanOf(vr, parts.from);
  const to = parts.to === '' ? forever : spanOf(vr, parts.to);
  return from === undefined || to === undefined ? undefined : { from: from.from, to: to.to };
}

/** Splits at the hyphen of a range; the hyphen of an offset from UTC in a date time is not one. */
function splitRange(
  vr: TemporalVr,
  text: string,
): { readonly from: string; readonly to: string } | undefined {
  if (text.length > 64 || text === '-') return undefined;
  if (vr === 'DT' && spanOf(vr, text) !== undefined) return undefined;
  for (let at = text.indexOf('-'); at >= 0; at = text.indexOf('-', at + 1)) {
    const from = text.slice(0, at).trim();
    const to = text.slice(at + 1).trim();
    if ([from, to].every((part) => part === '' || spanOf(vr, part) !== undefined)) return { from, to };
  }
  return undefined;
}

function spanOf(vr: TemporalVr, text: string): Span | undefined {
  if (vr === 'DA') return dateSpan(text);
  return vr === 'TM' ? timeSpan(text) : dateTimeSpan(text);
}

function dateSpan(text: string): Span | undefined {
  const [, year, month, day] = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(text) ?? [];
  if (year === undefined) return undefined;
  const from = microseconds(Number(year), Number(month), Number(day));
  return { from, to: from + microsecondsPerDay - 1 };
}

function timeSpan(text: string): Span | undefined {
  const [, hour, minute, second, fraction] =
    /^(\d{2})(?::?(\d{2})(?::?(\d{2})(?:\.(\d{1,6}))?)?)?$/.exec(text) ?? [];
  if (hour === undefined) return undefined;
  return timeOfDay(hour, minute, second, fraction);
}

function timeOfDay(hour: string, minute?: string, second?: string, fraction?: string): Span {
  const from =
    ((Number(hour) * 60 + Number(minute ?? 0)) * 60 + Number(second ?? 0)) * 1_000_000 +
    Number((fraction ?? '').padEnd(6, '0'));
  return { from, to: from + precision(minute, second, fraction) - 1 };
}

/** Microseconds in the smallest part of a time that is given. */
function precision(minute?: string, second?: string, fraction?: string): number {
  if (minute === undefined) return 3_600_000_000;
  if (second === undefined) return 60_000_000;
  return 10 ** (6 - (fraction ?? '').length);
}

function dateTimeSpan(text: string): Span | undefined {
  const match =
    /^(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:\.(\d{1,6}))?)?)?)?)?)?(?:([+-])(\d{2})(\d{2}))?$/.exec(
      text,
    );
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, sign, offsetHours, offsetMinutes] = match;
  // "2020-2021" is a range of years, not an offset: offsets end at +1400.
  if (offsetHours !== undefined && Number(offsetHours) > 14) return undefined;
  const from = microseconds(Number(year), Number(month ?? 1), Number(day ?? 1));
  const offset =
    (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000_000 * (sign === '-' ? -1 : 1);
  if (hour !== undefined) {
    const time = timeOfDay(hour, minute, second, fraction);
    return { from: from + time.from - offset, to: from + time.to - offset };
  }
  const nextYear = Number(year) + (month === undefined ? 1 : 0);
  const nextMonth = Number(month ?? 1) + (month !== undefined && day === undefined ? 1 : 0);
  const nextDay = Number(day ?? 1) + (day === undefined ? 0 : 1);
  return { from: from - offset, to: microseconds(nextYear, nextMonth, nextDay) - 1 - offset };
}

/** Since 1970; exact for every year that four digits can name. */
function microseconds(year: number, month: number, day: number): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.getTime() * 1000;
}
