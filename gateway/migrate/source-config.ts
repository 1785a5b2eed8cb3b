import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { shownUrl } from "../settings/secrets.ts";
import { readStreamUrl, type StreamTarget } from "../settings/service-urls.ts";

/**
 * The configuration of gateways on the stream at `url`, which now go to that of `to`. Ids are looked up in the files, so no window of
 * theirs is needed. A Redis that `to` names as well has the same login, unless another one is said.
 * @param password Of a Redis at `url`, where that does not hold it.
 * @throws GatewayError USAGE_INVALID
 */
export function sourceConfig(to: GatewayConfig, url: string, password?: string): GatewayConfig {
  const reading = readStreamUrl(url);
  if (!("target" in reading))
    throw usageError(`--from ${shownUrl(url)}: give ${reading.expected}; ${reading.mend}.`);
  const stream = withLogin(withPassword(reading.target, password), to);
  const goesTo = to.backends.stream;
  if (goesTo.kind === "embedded")
    throw usageError(
      "--stream must name the stream to move to, which gateways can share: for example --stream redis://127.0.0.1:6379/0.",
    );
  if (stream.kind === "kinesis")
    throw usageError("--from takes embedded: or redis://: there is no way yet that leads from Kinesis.");
  if (placeOf(stream) === placeOf(goesTo)) throw usageError("--from and --stream name the same stream.");
  const backends = { stream, window: { kind: "memory" } } as const;
  return { ...to, stream: { ...to.stream, url }, backends };
}

function withPassword(stream: StreamTarget, password: string | undefined): StreamTarget {
  if (password === undefined) return stream;
  if (stream.kind !== "redis")
    throw usageError("--from-password-file: only a Redis has one; --from names none.");
  if (stream.redis.password !== undefined)
    throw usageError("--from and --from-password-file: say the password once.");
  return { kind: "redis", redis: { ...stream.redis, password } };
}

function withLogin(stream: StreamTarget, to: GatewayConfig): StreamTarget {
  if (stream.kind !== "redis" || stream.redis.password !== undefined) return stream;
  const { host, port } = stream.redis;
  for (const other of [to.backends.stream, to.backends.window])
    if (other.kind === "redis" && other.redis.host === host && other.redis.port === port) {
      const { username, password } = other.redis;
      return { kind: "redis", redis: { ...stream.redis, username, password } };
    }
  return stream;
}

function placeOf(stream: StreamTarget): string {
  if (stream.kind !== "redis") return stream.kind;
  const { host, port, db, prefix } = stream.redis;
  return [host, port, db, prefix].join(" ");
}

function usageError(text: string): GatewayError {
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}
