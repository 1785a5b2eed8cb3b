/**
 * A well-mixed number in [0, 2^32) of a seed and two more 32-bit numbers. All messages of a run derive from
 * this function, by the seed and the message's index. So the audit can make any message without the earlier
 * ones.
 */
export function hash32(seed: number, first: number, second: number): number {
  let mixed = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ first;
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d) + second;
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0x297a2d39);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x7feb352d);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** The same, uniform in [0, 1). */
export function chance(seed: number, first: number, second: number): number {
  return hash32(seed, first, second) / 2 ** 32;
}

/** A sequence of numbers in [0, 1) that only the seed decides. */
export function seededSequence(seed: number, stream: number): () => number {
  let drawn = 0;
  return () => {
    drawn = (drawn + 1) | 0;
    return chance(seed, stream, drawn);
  };
}
