import type { KindTarget } from "../../bridge/config.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { kindOf } from "../settings/kind-of.ts";
import { embeddedKind } from "./embedded/embedded-kind.ts";
import { kinesisKind } from "./kinesis/kinesis-kind.ts";
import { redisKind } from "./redis/redis-kind.ts";
import type { StreamBackend } from "./stream-backend.ts";
import type { StreamKind } from "./stream-kind.ts";

/** All kinds of streams, in the order in which texts name them. */
// biome-ignore format: a line for each kind
export const streamKinds: readonly StreamKind[] = [
  embeddedKind,
  redisKind,
  kinesisKind,
];

/** The stream of a gateway whose settings name none. */
export const defaultStreamUrl = "embedded:";

export function streamKind(target: KindTarget): StreamKind {
  return kindOf(streamKinds, target);
}

/** Loads the backend of the configured stream only. */
export function streamBackend({ backends }: Pick<GatewayConfig, "backends">): Promise<StreamBackend> {
  return streamKind(backends.stream).loadBackend();
}
