import type { GatewayConfig } from "../config.ts";
import type { StreamBackend } from "./stream-backend.ts";

/** A process loads the one that it uses. */
const backends: Readonly<Record<GatewayConfig["backends"]["stream"]["kind"], () => Promise<StreamBackend>>> =
  {
    embedded: async () => (await import("./embedded-backend.ts")).embeddedBackend,
    redis: async () => (await import("./redis-backend.ts")).redisBackend,
    kinesis: async () => (await import("./kinesis-backend.ts")).kinesisBackend,
  };

export function streamBackend(config: GatewayConfig): Promise<StreamBackend> {
  return backends[config.backends.stream.kind]();
}
