import type { Logger } from "pino";
import { type LakeState, openCommitLog } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { createLakeTopics } from "../registry/lake-topics.ts";
import type { GatewayLake } from "../supervisor/gateway-stores.ts";
import { openLakeStore } from "./lake-store.ts";

/** The supervisor's part of the lake; makes one where there is none. */
export async function openGatewayLake(
  config: GatewayConfig,
  { logger, signal }: { readonly logger: Logger; readonly signal?: AbortSignal },
): Promise<GatewayLake> {
  const store = await openLakeStore(config, {
    access: "write",
    logger,
    ...(signal === undefined ? {} : { signal }),
  });
  const commitLog = await openCommitLog(store, { create: true });
  const { lakeId } = commitLog;
  return { lakeId, url: store.url, topics: createLakeTopics(store), state: () => commitLog.load() };
}

/** What the lake holds of every stream. */
export async function loadLakeState(config: GatewayConfig): Promise<LakeState> {
  const store = await openLakeStore(config, { access: "read" });
  return await (await openCommitLog(store, { create: true })).load();
}
