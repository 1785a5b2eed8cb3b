/** Units of durations on the command line, largest first. */
const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

export const durationExamples = "90s, 30m, 12h or 7d";

/** The ms of a text such as `7d`; null if it is not a whole number with a unit. */
export function durationMsOf(text: string): number | null {
  const [, count, unit] = /^(\d{1,12})([a-z])$/.exec(text) ?? [];
  const known = units.find(([name]) => name === unit);
  return known ? Number(count) * known[1] : null;
}

/** In the largest unit that gives a whole number; ms if none does. */
export function durationText(ms: number): string {
  const unit = units.find(([, unitMs]) => ms % unitMs === 0);
  return unit ? `${ms / unit[1]}${unit[0]}` : `${ms}ms`;
}
