/** Key of the stream's record, a hash. */
export function metaKey(prefix: string): string {
  return `${prefix}:stream`;
}

/**
 * Keys of the log and the state of a partition. The hash tag keeps both on one node of a Redis Cluster. The
 * stream id is in the key, so that no other stream has the same keys, not even on a server that replaced
 * ours.
 */
export function partitionKeys(
  prefix: string,
  streamId: string,
  partition: number,
): [log: string, state: string] {
  const start = `${prefix}:{${streamId}/${partition}}`;
  return [`${start}:log`, `${start}:state`];
}
