import type { GatewayPlaces } from "../data-folder/process-record.ts";
import { lakeKind } from "../lakes/lake-kinds.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { windowKind } from "../windows/window-kinds.ts";

export function placesOf({
  backends: { stream, window },
  lakeTarget,
}: Pick<GatewayConfig, "backends" | "lakeTarget">): GatewayPlaces {
  return {
    lake: lakeKind(lakeTarget).placeOf(lakeTarget),
    stream: streamKind(stream).placeOf(stream),
    window: windowKind(window).placeOf(window),
  };
}
