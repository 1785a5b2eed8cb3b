const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** Number of values of `deviceHash`: 0 to deviceHashes − 1. */
export const deviceHashes = 2 ** 32;

/**
 * The hash that decides a device's partition. It must never change. FNV-1a (32 bits) over the UTF-16 units
 * of the id, then MurmurHash3's finalizer, because FNV's low bits depend mostly on the last characters.
 */
export function deviceHash(deviceId: string): number {
  let hash = offsetBasis;
  for (let index = 0; index < deviceId.length; index++)
    hash = Math.imul(hash ^ deviceId.charCodeAt(index), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
