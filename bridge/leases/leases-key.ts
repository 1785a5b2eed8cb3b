/** Hash: the lease table of a stream. */
export function leasesKey(prefix: string, streamId: string): string {
  return `${prefix}:{${streamId}}:leases`;
}
