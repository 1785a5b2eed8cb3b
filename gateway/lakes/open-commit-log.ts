import { type ObjectStore, openCommitLog } from "../../bridge/lake/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";

/** The commit log of a lake that exists, with the gateway's settings. */
export function openGatewayCommitLog(store: ObjectStore, { tables }: Pick<GatewayConfig, "tables">) {
  const { snapshotEntries, commitRetentionMs } = tables;
  return openCommitLog(store, {
    create: false,
    entriesPerSnapshot: snapshotEntries,
    retentionMs: commitRetentionMs,
  });
}
