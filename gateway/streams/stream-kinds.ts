import type { KindTarget } from "../../bridge/config.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { kindOf } from "../kind-of.ts";
import { embeddedKind } from "./embedded/embedded-kind.ts";
import { kinesisKind } from "./kinesis/kinesis-kind.ts";
import { redisKind } from "./redis/redis-kind.ts";
import type { StreamBackend } from "./stream-backend.ts";
import type { StreamKind } from "./stream-kind.ts";

/** Every kind of stream, in the order in which people read of them. */
// biome-ignore format: a line for each kind
export const streamKinds: readonly StreamKind[] = [
  embeddedKind,
  redisKind,
  kinesisKind,
];

/** Of a gateway that names no stream. */
export const defaultStreamUrl = "embedded:";

export function streamKind(target: KindTarget): StreamKind {
  return kindOf(streamKinds, target);
}

/** What works with the stream of a configuration. A process loads the one that it uses. */
export function streamBackend({ backends }: Pick<GatewayConfig, "backends">): Promise<StreamBackend> {
  return streamKind(backends.stream).loadBackend();
}
