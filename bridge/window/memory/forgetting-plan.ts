/** Part of the ids that is forgotten at once, so that this is not done for each id. */
const FORGOTTEN_SHARE = 1 / 16;
/** A device is over its share from four times the ids of the middle one of all devices on, and 1/64 of all ids. */
const SHARE_OF_MEDIAN = 4;
const SHARE_MIN = 1 / 64;
/** Fewer samples of a device say little. */
const SAMPLES_MIN = 16;

/** A sample of the ids that a window holds, all of them equally likely. */
export interface IdSamples {
  /** How much older each is than the newest of its partition, in any unit. */
  readonly ages: readonly number[];
  /** The device of each. */
  readonly devices: readonly number[];
}

/** Ids of this age and older are to be forgotten. */
export interface ForgettingPlan {
  /** Of whatever device; infinite = none. */
  readonly age: number;
  /** Of devices over their share. */
  readonly deviceAges: ReadonlyMap<number, number>;
}

/**
 * What to forget where a window has no more room: first of devices over their share, the oldest ids of each down to that share; then the
 * oldest of all. A device is over its share where it has many more ids than most others: where all have as many, none is.
 */
export function planForgetting({ ages, devices }: IdSamples): ForgettingPlan {
  const wanted = Math.max(1, Math.ceil(ages.length * FORGOTTEN_SHARE));
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
  return Math.max(SAMPLES_MIN, SHARE_OF_MEDIAN * median, Math.ceil(samples * SHARE_MIN));
}

function nthOldest(ages: readonly number[], nth: number): number {
  const oldestFirst = Float64Array.from(ages).sort().reverse();
  return oldestFirst[Math.min(nth, oldestFirst.length) - 1] ?? Number.POSITIVE_INFINITY;
}
