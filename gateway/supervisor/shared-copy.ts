import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import { shownUrl } from "../settings/secrets.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { defaultWindow } from "../windows/window-kinds.ts";
import { isSameLake, placesOf } from "./gateway-places.ts";
import { type GatewayPlaces, readForeignRecord } from "./process-record.ts";

type Places = Pick<GatewayConfig, "folders" | "backends" | "stream" | "window" | "lakeTarget" | "lakeUrl">;

/**
 * Refuses a copied data folder that would share with its original what one of them alone may use: the two have the same stream id and the
 * same lake id, so neither lake, window nor stream could tell them apart. What the copy holds itself it may use; so it may join a stream
 * and a lake that gateways share. Throws FOLDER_COPIED.
 */
export function refuseSharingCopy(config: Places): void {
  const { data } = config.folders;
  const record = readForeignRecord(data);
  const shared = record?.uses && sharedWith(record.uses, config);
  if (!record || !shared) return;
  const { supervisor, host } = record;
  throw new GatewayError(
    "FOLDER_COPIED",
    `The data folder ${data} is a copy, or came from another disk: its processes.json is of the gateway ${supervisor.pid} on ${host}. ${shared} If the original is gone for good, or was this very folder, remove ${data}/processes.json and start again.`,
    { retryable: false, details: { host: host ?? null, pid: supervisor.pid } },
  );
}

/** What two gateways would use as if each was alone, and how the copy gets its own; null = nothing. */
function sharedWith(original: GatewayPlaces, config: Places): string | null {
  const own = placesOf(config);
  const sharesLake = isSameLake(original.lake, own.lake);
  const sharesStream = own.stream !== null && own.stream === original.stream;
  const sharesWindow = own.window !== null && own.window === original.window;
  const window = shownUrl(config.window.url ?? "");
  if (own.stream === null && sharesLake)
    return `The lake ${shownUrl(config.lakeUrl)} takes its stream for the original's, so what either acknowledges could be lost. Give the copy a lake of its own with --lake, as a copy of that one.`;
  if (own.stream === null && sharesWindow)
    return `The dedupe window ${window} is the original's, which would lose messages that the copy has seen. Give the copy a window of its own: --window ${defaultWindow.url}, or another ?prefix=NAME.`;
  if (streamKind(config.backends.stream).registryIn === "stream" && sharesStream && !sharesLake)
    return `The stream ${shownUrl(config.stream.url)} belongs to the lake of the original, which would lack what the copy files. Give the copy a stream of its own (another ?prefix=NAME), or name the original's lake with --lake.`;
  if (sharesStream && sharesWindow && !sharesLake)
    return `The window ${window} belongs to the lake of the original, with the leases of its partitions: that lake would lack what the copy files. Give the copy a window of its own: --window ${defaultWindow.url}, or another ?prefix=NAME.`;
  return null;
}
