/** Share of the ids that is forgotten at once, so that forgetting is not repeated for each id. */
const forgottenShare = 1 / 16;
/**
 * A device is over its share if it has at least four times the ids of the median device, and at least 1/64 of
 * all ids.
 */
const shareOfMedian = 4;
const shareMin = 1 / 64;
/** With fewer samples, the count of a device is unreliable. */
const samplesMin = 16;

/** A sample of a window's ids, each with equal probability. */
export interface IdSamples {
  /** Age of each id relative to the newest of its partition, in any unit. */
  readonly ages: readonly number[];
  /** Device number of each id. */
  readonly devices: readonly number[];
}

/** Minimum ages of the ids to forget. */
export interface ForgettingPlan {
  /** For ids of every device; infinite = none. */
  readonly age: number;
  /** For ids of devices over their share. */
  readonly deviceAges: ReadonlyMap<number, number>;
}

/**
 * Decides which ids to forget if a window has no room: first the oldest ids of each device over its share,
 * down to that share; then the oldest ids of all. If all devices have equally many ids, none is over its
 * share.
 */
export function planForgetting({ ages, devices }: IdSamples): ForgettingPlan {
  const wanted = Math.max(1, Math.ceil(ages.length * forgottenShare));
  const byDevice = new Map<number, number[]>();
  for (const [index, device] of devices.entries()) {
    const known = byDevice.get(device);
    if (known) known.push(ages[index] as number);
    else byDevice.set(device, [ages[index] as number]);
  }
  const share = shareOf(byDevice, ages.length);
  const over = [...byDevice].filter(([, ofDevice]) => ofDevice.length > share);
  const excess = over.reduce((sum, [, ofDevice]) => sum + ofDevice.length - share, 0);
  const taken = Math.min(1, wanted / Math.max(1, excess));
  const deviceAges = new Map<number, number>();
  let forgotten = 0;
  for (const [device, ofDevice] of over) {
    const count = Math.ceil((ofDevice.length - share) * taken);
    deviceAges.set(device, nthOldest(ofDevice, count));
    forgotten += count;
  }
  if (forgotten >= wanted) return { age: Number.POSITIVE_INFINITY, deviceAges };
  const rest = ages.filter(
    (age, index) => age < (deviceAges.get(devices[index] as number) ?? Number.POSITIVE_INFINITY),
  );
  return { age: nthOldest(rest, wanted - forgotten), deviceAges };
}

function shareOf(byDevice: ReadonlyMap<number, readonly number[]>, samples: number): number {
  const counts = Uint32Array.from(byDevice.values(), ({ length }) => length).sort();
  const median = counts[Math.floor((counts.length - 1) / 2)] ?? 0;
  return Math.max(samplesMin, shareOfMedian * median, Math.ceil(samples * shareMin));
}

function nthOldest(ages: readonly number[], nth: number): number {
  const oldestFirst = Float64Array.from(ages).sort().reverse();
  return oldestFirst[Math.min(nth, oldestFirst.length) - 1] ?? Number.POSITIVE_INFINITY;
}
