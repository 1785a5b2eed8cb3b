/**
 * A moment to the microsecond, in the years 1 to 9999 UTC: the range that every reader of the tables can
 * show.
 */
export interface Instant {
  /** Whole ms since the epoch, rounded down. */
  readonly ms: number;
  /** µs after `ms`: 0 to 999. */
  readonly micros: number;
}

const dayMs = 86_400_000;
const instantMinMs = -62_135_596_800_000;
const instantMaxMs = 253_402_300_799_999;

/**
 * RFC 3339 §5.6. Seconds are optional, as in ISO 8601. A zone is required: without one, the time would
 * depend on the machine.
 */
const spelling =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(?:[Zz]|([+-])(\d\d):(\d\d))$/;
const daysOfMonth = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** False outside the years 1 to 9999. */
export function isInstantMs(ms: number): boolean {
  return ms >= instantMinMs && ms <= instantMaxMs;
}

/**
 * Reads an RFC 3339 time. null for any other text, for days and hours that do not exist, and outside the
 * years 1 to 9999. Digits after the sixth of the fraction are cut. A leap second (23:59:60 UTC at the end of
 * a month) becomes the first second of the next day, as in POSIX time.
 */
export function readInstant(text: string): Instant | null {
  const parts = spelling.exec(text);
  if (!parts) return null;
  const [, year, month, day, hour, minute, second = "0", fraction = "", sign, offsetHour, offsetMinute] =
    parts;
  const days = daysSinceEpoch(Number(year), Number(month), Number(day));
  if (days === null || Number(hour) > 23 || Number(minute) > 59) return null;
  const offsetMinutes = readOffset(sign, Number(offsetHour), Number(offsetMinute));
  if (offsetMinutes === null) return null;
  const minuteMs = days * dayMs + (Number(hour) * 60 + Number(minute) - offsetMinutes) * 60_000;
  const seconds = Number(second);
  if (seconds > 59 && !(seconds === 60 && endsMonth(minuteMs + 60_000))) return null;
  const ms = minuteMs + seconds * 1000 + digitsAt(fraction, 0);
  return isInstantMs(ms) ? { ms, micros: digitsAt(fraction, 3) } : null;
}

/** The moment `micros` µs after the epoch; null outside the years 1 to 9999. */
export function instantOf(micros: bigint): Instant | null {
  const ofMs = ((micros % 1000n) + 1000n) % 1000n;
  const ms = Number((micros - ofMs) / 1000n);
  return isInstantMs(ms) ? { ms, micros: Number(ofMs) } : null;
}

/** µs since the epoch; a bigint if a number would not be exact. */
export function microsecondsOf({ ms, micros }: Instant): number | bigint {
  const sum = ms * 1000 + micros;
  return Number.isSafeInteger(sum) ? sum : BigInt(ms) * 1000n + BigInt(micros);
}

/** Three digits of a fraction as a number; missing digits are zeros. */
function digitsAt(fraction: string, start: number): number {
  return Number(fraction.slice(start, start + 3).padEnd(3, "0"));
}

function readOffset(sign: string | undefined, hours: number, minutes: number): number | null {
  if (sign === undefined) return 0;
  if (hours > 23 || minutes > 59) return null;
  return (sign === "-" ? -1 : 1) * (hours * 60 + minutes);
}

function isLeapYear(year: number): boolean {
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0;
}

/** null if the calendar has no such day. */
function daysSinceEpoch(year: number, month: number, day: number): number | null {
  const daysMax = month === 2 && isLeapYear(year) ? 29 : daysOfMonth[month - 1];
  if (daysMax === undefined || day < 1 || day > daysMax) return null;
  // Date.UTC reads years below 100 as 1900 to 1999. The calendar repeats after 400 years.
  return Date.UTC(year + 400, month - 1, day) / dayMs - 146_097;
}

function endsMonth(ms: number): boolean {
  return ms % dayMs === 0 && new Date(ms).getUTCDate() === 1;
}
