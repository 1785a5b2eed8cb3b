import type { GatewayConfig } from "../gateway-config.ts";
import type { LakePlace } from "../lakes/lake-kind.ts";
import { lakeKind } from "../lakes/lake-kinds.ts";
import { streamKind } from "../streams/stream-kinds.ts";
import { windowKind } from "../windows/window-kinds.ts";
import { isSameOverBoots } from "./folder-identity.ts";
import type { GatewayPlaces } from "./process-record.ts";

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

export function isSameLake(left: LakePlace, right: LakePlace): boolean {
  if (left.bucket !== null || right.bucket !== null) return left.bucket === right.bucket;
  return left.folder !== null && right.folder !== null && isSameOverBoots(left.folder, right.folder);
}
