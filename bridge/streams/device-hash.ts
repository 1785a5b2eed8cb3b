const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/** Number of values that `deviceHash` may have: 0 to this − 1. */
export const DEVICE_HASHES = 2 ** 32;

/**
 * What decides about a device's partition, the same in every process and for ever: FNV-1a (32 bits) over the id's UTF-16 units, mixed by
 * murmur3's finisher since FNV's low bits follow the last characters.
 */
export function deviceHash(deviceId: string): number {
  let hash = offsetBasis;
  for (let index = 0; index < deviceId.length; index++)
    hash = Math.imul(hash ^ deviceId.charCodeAt(index), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
