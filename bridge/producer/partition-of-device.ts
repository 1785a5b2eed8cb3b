const offsetBasis = 0x811c9dc5;
const prime = 0x01000193;

/**
 * The partition that all messages of a device go to, the same in every process and for ever: FNV-1a (32 bits) over the id's UTF-16
 * units, mixed by murmur3's finisher since FNV's low bits follow the last characters.
 */
export function partitionOfDevice(deviceId: string, partitionCount: number): number {
  let hash = offsetBasis;
  for (let index = 0; index < deviceId.length; index++)
    hash = Math.imul(hash ^ deviceId.charCodeAt(index), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % partitionCount;
}
