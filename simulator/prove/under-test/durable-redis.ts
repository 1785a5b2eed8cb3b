/** How docs/operating/redis.md sets a redis-server up: directives of redis.conf. */
export const durableRedis: Readonly<Record<string, string>> = {
  appendonly: "yes",
  appendfsync: "always",
  "no-appendfsync-on-rewrite": "no",
  "maxmemory-policy": "noeviction",
  save: "",
};
