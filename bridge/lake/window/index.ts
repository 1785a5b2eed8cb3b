export type { DedupWindow } from "./dedup-window.ts";
export { createMemoryWindow } from "./memory/memory-window.ts";
export { openRedisWindow } from "./redis/redis-window.ts";
