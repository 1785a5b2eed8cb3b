import type { Logger } from "pino";
import { type LakeState, openCommitLog } from "../../bridge/lake/index.ts";
import type { GatewayLake } from "../registry/gateway-stores.ts";
import { createLakeTopics } from "../registry/lake-topics.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { openLakeStore } from "./open-lake-store.ts";

/** Opens the supervisor's part of the lake, and creates the lake if there is none. */
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

/** The committed positions and counters of every stream. */
export async function loadLakeState(config: GatewayConfig): Promise<LakeState> {
  const store = await openLakeStore(config, { access: "read" });
  return await (await openCommitLog(store, { create: true })).load();
}
