import { type LakeState, openCommitLog, openLocalStore } from "../../bridge/index.ts";
import type { GatewayConfig } from "../config.ts";
import { createLakeTopics } from "../registry/lake-topics.ts";
import type { GatewayLake } from "../supervisor/gateway-stores.ts";

/** The supervisor's part of the lake; makes one where there is none. */
export async function openGatewayLake(config: GatewayConfig): Promise<GatewayLake> {
  const store = await openLocalStore(config.folders.lake);
  const { lakeId } = await openCommitLog(store, { create: true });
  return { lakeId, url: store.url, topics: createLakeTopics(store) };
}

/** What the lake holds of every stream. */
export async function loadLakeState(config: GatewayConfig): Promise<LakeState> {
  const store = await openLocalStore(config.folders.lake);
  return await (await openCommitLog(store, { create: true })).load();
}
