/** Key of a stream's lease table, a hash. */
export function leasesKey(prefix: string, streamId: string): string {
  return `${prefix}:{${streamId}}:leases`;
}

/** Key of the lease of a lake's upkeep, a hash of the same form. */
export function upkeepKey(prefix: string, lakeId: string): string {
  return `${prefix}:{${lakeId}}:upkeep`;
}
