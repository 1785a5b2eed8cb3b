import { writeDecimal } from "./digits.ts";
import { hash32 } from "./seeded-hash.ts";

/**
 * A number in a document whose digits come from the device's walk. Its text is always equally long:
 * `<whole>[.<decimals>]<extra>`.
 */
export interface Reading {
  /** Where its text begins, in bytes. */
  readonly at: number;
  /** Distinguishes the walks of one device. */
  readonly channel: number;
  /** Smallest value and number of values, in units of the last decimal. */
  readonly min: number;
  readonly span: number;
  /** Digits of the value, with its decimals. */
  readonly digits: number;
  readonly decimals: number;
  /**
   * Digits of noise after it, like those of a cheap sensor's library. They make a document exactly as long as
   * asked.
   */
  readonly extraDigits: number;
}

/** Many numbers `dd.dd` with a comma between, each a small step from the one before. */
export interface Samples {
  readonly at: number;
  readonly count: number;
}

export const sampleBytes = 5;

const channelsMax = 8;
const stepsPerLeg = 16;
const wobbleStream = 7;
const extraStream = 8;

/**
 * Position of a device's walk on one channel at one step, in [0, 1): straight legs between seeded points 16
 * steps apart, and a wobble. A function of the step alone, so any message can be made again without the
 * earlier steps.
 */
function walk(seed: number, device: number, channel: number, step: number): number {
  const key = device * channelsMax + channel;
  const leg = Math.floor(step / stepsPerLeg);
  const from = hash32(seed, key, leg) >>> 17;
  const to = hash32(seed, key, leg + 1) >>> 17;
  const wobble = hash32(seed ^ wobbleStream, key, step) >>> 21;
  return (from + ((to - from) * (step % stepsPerLeg)) / stepsPerLeg + wobble) / 34_816;
}

const scales = [1, 10, 100, 1000];
const point = 0x2e;
const comma = 0x2c;
const zero = 0x30;

/** Writes one reading's text into the document that begins at `start` of `target`. */
export function writeReading(
  target: Uint8Array,
  start: number,
  reading: Reading,
  seed: number,
  device: number,
  step: number,
): void {
  const value = reading.min + Math.floor(walk(seed, device, reading.channel, step) * reading.span);
  const at = start + reading.at;
  const whole = reading.digits - reading.decimals;
  let end = at + whole;
  if (reading.decimals === 0) writeDecimal(target, end, whole, value);
  else {
    const scale = scales[reading.decimals] as number;
    writeDecimal(target, end, whole, Math.floor(value / scale));
    target[end] = point;
    end += 1 + reading.decimals;
    writeDecimal(target, end, reading.decimals, value % scale);
  }
  for (let extra = 0; extra < reading.extraDigits; extra++)
    target[end + extra] = zero + (hash32(seed ^ extraStream, device + extra, step) % 10);
}

/**
 * Writes a list of samples: a walk of steps of at most ±0.31 from a seeded start, kept within 10.00 to 99.99.
 */
export function writeSamples(
  target: Uint8Array,
  start: number,
  samples: Samples,
  seed: number,
  device: number,
  step: number,
): void {
  let state = hash32(seed, device, step);
  let value = 1000 + (state % 8999);
  let at = start + samples.at;
  for (let count = samples.count; count > 0; count--) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    value += (state >>> 26) - 32;
    if (value < 1000) value = 2000 - value;
    else if (value > 9999) value = 19_998 - value;
    writeDecimal(target, at + 2, 2, (value / 100) | 0);
    target[at + 2] = point;
    writeDecimal(target, at + sampleBytes, 2, value % 100);
    at += sampleBytes;
    if (count > 1) target[at++] = comma;
  }
}
