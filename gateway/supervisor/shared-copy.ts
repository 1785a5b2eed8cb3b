import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { isSameLake } from "../data-folder/lake-place.ts";
import { type GatewayPlaces, readForeignRecord } from "../data-folder/process-record.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { defaultWindow } from "../windows/window-kinds.ts";
import { placesOf } from "./gateway-places.ts";

type Places = Pick<GatewayConfig, "folders" | "backends" | "stream" | "window" | "lakeTarget" | "lakeUrl">;

/**
 * Refuses a copied data folder that would share data with its original that only one of them may use. Both
 * have the same stream id and lake id, so lake, window and stream cannot distinguish them. The copy may use
 * its own parts, and may join a stream and a lake that gateways share. Throws FOLDER_COPIED.
 */
export function refuseSharingCopy(config: Places): void {
  const { data } = config.folders;
  const record = readForeignRecord(data);
  const shared = record?.uses && sharedWith(record.uses, config);
  if (!record || !shared) return;
  const { supervisor, host } = record;
  throw new GatewayError(
    "FOLDER_COPIED",
    `The data folder ${data} is a copy, or was moved from another disk: its processes.json is of the gateway ${supervisor.pid} on ${host}. ${shared} If the original no longer exists, or was this very folder, remove ${data}/processes.json and start again.`,
    { retryable: false, details: { host: host ?? null, pid: supervisor.pid } },
  );
}

/** Describes the shared part, and how the copy gets its own; null = no part is shared. */
function sharedWith(original: GatewayPlaces, config: Places): string | null {
  const own = placesOf(config);
  const sharesLake = isSameLake(original.lake, own.lake);
  const sharesStream = own.stream !== null && own.stream === original.stream;
  const sharesWindow = own.window !== null && own.window === original.window;
  const window = shownUrl(config.window.url ?? "");
  if (own.stream === null && sharesLake)
    return `The lake ${shownUrl(config.lakeUrl)} can't distinguish the copy's stream from the original's, so acknowledged messages of both could be lost. Copy the lake as well, and name that copy with --lake.`;
  if (own.stream === null && sharesWindow)
    return `The dedupe window ${window} belongs to the original, which would drop messages that the copy has filed. Give the copy a window of its own: --window ${defaultWindow.url}, or another ?prefix=NAME.`;
  if (streamKind(config.backends.stream).registryIn === "stream" && sharesStream && !sharesLake)
    return `The stream ${shownUrl(config.stream.url)} belongs to the lake of the original, which would lack the messages that the copy files. Give the copy a stream of its own (another ?prefix=NAME), or name the original's lake with --lake.`;
  if (sharesStream && sharesWindow && !sharesLake)
    return `The window ${window} belongs to the lake of the original, with the leases of its partitions: that lake would lack the messages that the copy files. Give the copy a window of its own: --window ${defaultWindow.url}, or another ?prefix=NAME.`;
  return null;
}
