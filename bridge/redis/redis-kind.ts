import { type KindDescriptor, readOrMend } from "../kind-descriptor.ts";
import { redisConfigSchema } from "./redis-config.ts";
import { parseRedisUrl, type RedisTarget } from "./redis-url.ts";

export interface OnRedis {
  readonly kind: "redis";
  readonly redis: RedisTarget;
}

/** The common part of the descriptors of streams and windows on Redis. */
export const redisKind = {
  name: "redis",
  label: "Redis",
  schemes: ["redis:", "rediss:"],
  urlForm: "redis://HOST:PORT/DB",
  sections: { redis: redisConfigSchema },
  readUrl,
  placeOf: ({ redis: { host, port, db, prefix } }: OnRedis): string =>
    `redis ${host}:${port}/${db} ${prefix}`,
  login: {
    serverOf: ({ redis: { host, port } }: OnRedis) => `${host}:${port}`,
    of: ({ redis: { username, password } }: OnRedis) => ({ username, password }),
    with: ({ redis }: OnRedis, { username, password }): OnRedis => ({
      kind: "redis",
      redis: { ...redis, username, password },
    }),
  },
} satisfies KindDescriptor<OnRedis> & { placeOf(target: OnRedis): string };

function readUrl(url: string): OnRedis | string {
  try {
    return readOrMend((): OnRedis => ({ kind: "redis", redis: parseRedisUrl(url) }));
  } catch (error) {
    // A percent sign that is not part of an escape.
    if (error instanceof URIError) return "write % in user name and password as %25, or use passwordFile";
    throw error;
  }
}
