import { hash } from "node:crypto";

const firstCapacity = 1024;

/**
 * A set of file names that takes 8 bytes per name, because a table may have millions. `has` is always true
 * for added names. With a million names, it is also true for one in 2^44 others.
 */
export class NameFilter {
  #hashes = new BigUint64Array(firstCapacity);
  #length = 0;
  #isSorted = true;

  /** @param path Path of the file; only its last part counts. */
  add(path: string): void {
    if (this.#length === this.#hashes.length) {
      const larger = new BigUint64Array(this.#length * 2);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    this.#hashes[this.#length++] = hashOf(path);
    this.#isSorted = false;
  }

  has(path: string): boolean {
    const sorted = this.#sorted();
    const wanted = hashOf(path);
    let low = 0;
    for (let high = sorted.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((sorted[middle] as bigint) < wanted) low = middle + 1;
      else high = middle;
    }
    return sorted[low] === wanted;
  }

  #sorted(): BigUint64Array {
    const used = this.#hashes.subarray(0, this.#length);
    if (!this.#isSorted) used.sort();
    this.#isSorted = true;
    return used;
  }
}

function hashOf(path: string): bigint {
  return BigInt(`0x${hash("sha256", path.slice(path.lastIndexOf("/") + 1), "hex").slice(0, 16)}`);
}
