import type { GatewayConfig } from "../config.ts";
import type { StreamTarget, WindowTarget } from "../settings/service-urls.ts";
import { type FileIdentity, identifyFile, isSameOverBoots } from "./folder-identity.ts";

/** What a gateway uses, by where it is rather than by how it is named; without passwords. */
export interface GatewayPlaces {
  readonly lake: LakePlace;
  /** null = it is in the data folder. */
  readonly stream: string | null;
  /** null = it is in memory. */
  readonly window: string | null;
}

interface LakePlace {
  /** null = it is on no disk of this machine, or not there yet. */
  readonly folder: FileIdentity | null;
  /** `bucket/prefix`; null = it is in a folder. */
  readonly bucket: string | null;
}

export function placesOf({
  backends,
  lakeTarget,
}: Pick<GatewayConfig, "backends" | "lakeTarget">): GatewayPlaces {
  const lake =
    lakeTarget.kind === "file"
      ? { folder: identifyFile(lakeTarget.folder), bucket: null }
      : { folder: null, bucket: `${lakeTarget.s3.bucket}/${lakeTarget.s3.prefix}` };
  return { lake, stream: placeOf(backends.stream), window: placeOf(backends.window) };
}

export function isSameLake(left: LakePlace, right: LakePlace): boolean {
  if (left.bucket !== null || right.bucket !== null) return left.bucket === right.bucket;
  return left.folder !== null && right.folder !== null && isSameOverBoots(left.folder, right.folder);
}

function placeOf(target: StreamTarget | WindowTarget): string | null {
  if (target.kind === "redis") {
    const { host, port, db, prefix } = target.redis;
    return `redis ${host}:${port}/${db} ${prefix}`;
  }
  if (target.kind !== "kinesis") return null;
  const { region, streamName, endpoint = "" } = target.kinesis;
  return `kinesis ${region}/${streamName} ${endpoint}`;
}
