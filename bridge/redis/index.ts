export { connectRedis, type RedisClient } from "./redis-connection.ts";
export { redisError } from "./redis-error.ts";
export { type RedisScript, redisScript, runScript } from "./redis-script.ts";
export { parseRedisUrl } from "./redis-url.ts";
