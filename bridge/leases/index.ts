export { ownEverything, type PartitionLeases } from "./partition-leases.ts";
export { createRedisLeases, createRedisUpkeepLease } from "./redis-leases.ts";
export type { UpkeepLease, UpkeepLeaseStatus } from "./upkeep-lease.ts";
