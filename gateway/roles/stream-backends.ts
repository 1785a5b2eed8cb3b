import type { GatewayConfig } from "../config.ts";
import { embeddedBackend } from "./embedded-backend.ts";
import { kinesisBackend } from "./kinesis-backend.ts";
import { redisBackend } from "./redis-backend.ts";
import type { StreamBackend } from "./stream-backend.ts";

const backends: Readonly<Record<GatewayConfig["backends"]["stream"]["kind"], StreamBackend>> = {
  embedded: embeddedBackend,
  redis: redisBackend,
  kinesis: kinesisBackend,
};

export function streamBackend(config: GatewayConfig): StreamBackend {
  return backends[config.backends.stream.kind];
}
