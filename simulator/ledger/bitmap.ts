/** A set of numbers below a bound, one bit each. */
export class Bitmap {
  readonly #bits: Uint8Array;
  #count = 0;

  constructor(bound: number) {
    this.#bits = new Uint8Array(Math.ceil(bound / 8));
  }

  /** How many numbers are in it. */
  get count(): number {
    return this.#count;
  }

  has(index: number): boolean {
    return (((this.#bits[index >>> 3] ?? 0) >>> (index & 7)) & 1) === 1;
  }

  /** False if the number was already in the set, or is outside the bound. */
  add(index: number): boolean {
    const byte = this.#bits[index >>> 3];
    const bit = 1 << (index & 7);
    if (byte === undefined || (byte & bit) !== 0) return false;
    this.#bits[index >>> 3] = byte | bit;
    this.#count++;
    return true;
  }

  /** Adds the numbers of another set. Bounds must be equal. */
  addAll(other: Bitmap): void {
    for (const [at, bits] of other.#bits.entries()) {
      const before = this.#bits[at] ?? 0;
      let added = bits & ~before;
      this.#bits[at] = before | bits;
      for (; added !== 0; added &= added - 1) this.#count++;
    }
  }

  clear(): void {
    this.#bits.fill(0);
    this.#count = 0;
  }

  /** The numbers in it that are in none of the others, in order. Bounds must be equal. */
  *without(...others: readonly Bitmap[]): Generator<number> {
    for (let at = 0; at < this.#bits.length; at++) {
      let left = this.#bits[at] ?? 0;
      for (const other of others) left &= ~(other.#bits[at] ?? 0);
      for (let bit = 0; left !== 0; bit++, left >>>= 1) if ((left & 1) === 1) yield at * 8 + bit;
    }
  }
}
