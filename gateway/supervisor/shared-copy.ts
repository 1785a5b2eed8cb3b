import { relative } from "node:path";
import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { shownUrl } from "../settings/secrets.ts";
import { readForeignRecord } from "./process-record.ts";

type Places = Pick<GatewayConfig, "folders" | "backends" | "stream" | "window" | "lakeUrl">;

/**
 * Refuses a copied data folder that would share with its original what one of them alone may use: the two have the same stream id and the
 * same lake id, so neither lake, window nor stream could tell them apart. What the copy holds itself it may use; so it may join a stream
 * and a lake that gateways share. Throws FOLDER_COPIED.
 */
export function refuseSharingCopy(config: Places): void {
  const { data } = config.folders;
  const record = readForeignRecord(data);
  const shared = record && sharedWithOriginal(config);
  if (!record || !shared) return;
  const { supervisor, host } = record;
  throw new GatewayError(
    "FOLDER_COPIED",
    `The data folder ${data} is a copy, or came from another disk: its processes.json is of the gateway ${supervisor.pid} on ${host}. ${shared} If the original is gone for good, or was this very folder, remove ${data}/processes.json and start again.`,
    { retryable: false, details: { host: host ?? null, pid: supervisor.pid } },
  );
}

/** What two gateways would use as if each was alone, and how the copy gets its own; null = nothing. */
function sharedWithOriginal({ folders, backends, stream, window, lakeUrl }: Places): string | null {
  const hasOwnLake = folders.lake !== null && !relative(folders.data, folders.lake).startsWith("..");
  const { kind } = backends.stream;
  const isWindowShared = backends.window.kind === "redis";
  const shownWindow = shownUrl(window.url ?? "");
  if (kind === "embedded" && !hasOwnLake)
    return `The lake ${shownUrl(lakeUrl)} takes its embedded stream for the original's, so what either acknowledges could be lost. Give the copy a lake of its own with --lake, or copy the lake too.`;
  if (kind === "embedded" && isWindowShared)
    return `The dedupe window ${shownWindow} is the original's, which would lose messages that the copy has seen. Give the copy a window of its own: --window memory:, or another ?prefix=NAME.`;
  if (kind === "redis" && hasOwnLake)
    return `The stream ${shownUrl(stream.url)} belongs to the lake of the original, which would lack what the copy files. Give the copy a stream of its own (--stream embedded:, or another ?prefix=NAME), or name the original's lake with --lake.`;
  if (kind === "kinesis" && isWindowShared && hasOwnLake)
    return `The window ${shownWindow} belongs to the lake of the original, with the leases of its partitions: that lake would lack what the copy files. Give the copy a window of its own: --window memory:, or another ?prefix=NAME.`;
  return null;
}
