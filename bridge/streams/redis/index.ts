export { createRedisStream, startNewRedisStream } from "./create-stream.ts";
export { checkRedisStreamAgainstLake } from "./lake-check.ts";
export { closeMovedRedisStream, type RedisStreamSurvey, surveyRedisStream } from "./move-stream.ts";
export { compareRedisPositions } from "./redis-position.ts";
export { openRedisStream, type RedisStream } from "./redis-stream.ts";
