/** Hash: which stream this is. */
export function metaKey(prefix: string): string {
  return `${prefix}:stream`;
}

/**
 * Log and state of a partition; Redis Cluster keeps both on one node. The stream's id is in the name, so that another stream, also one
 * in a server put in the place of ours, has none of our keys.
 */
export function partitionKeys(
  prefix: string,
  streamId: string,
  partition: number,
): [log: string, state: string] {
  const start = `${prefix}:{${streamId}/${partition}}`;
  return [`${start}:log`, `${start}:state`];
}
