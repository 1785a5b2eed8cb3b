import type { ErrorEntry } from "../../devices/protocol/error-entry.ts";

/** Errors of a stream, window or registry on Redis. */
export const redisErrors = {
  REDIS_URL_INVALID: {
    meaning: "The URL names no Redis, or a database that the server does not have.",
    retry: "no",
    remedy: "Write `redis://HOST:PORT/DB`, with `?prefix=NAME` for keys of your own.",
  },
  REDIS_UNAVAILABLE: {
    meaning:
      "Redis does not answer, or Tidegate has not checked it yet. Whether the last call took effect is unknown.",
    retry: "yes",
    remedy:
      "Start Redis or restore the network. Devices wait for acknowledgements; acknowledged messages are safe.",
  },
  REDIS_DENIED: {
    meaning: "Redis refuses the password, or the user may not run the command.",
    retry: "no",
    remedy:
      "Correct `stream.password` or `window.password`. docs/operating/redis.md lists the rights of the user.",
  },
  REDIS_FULL: {
    meaning: "Redis has no memory or disk left.",
    retry: "yes",
    remedy: "Raise `maxmemory`, free disk space, or let the consumer catch up.",
  },
  REDIS_KEY_TYPE: {
    meaning: "Another application uses a key of Tidegate's.",
    retry: "no",
    remedy: "Give Tidegate a prefix of its own: `?prefix=NAME` in the URL.",
  },
  REDIS_UNSUPPORTED: {
    meaning: "The server is too old, has the wrong role, or may lose data that it confirmed.",
    retry: "depends",
    remedy: "Send the server the `CONFIG SET` that the message names, or use Redis 7.0 or newer.",
  },
} as const satisfies Record<string, ErrorEntry>;
