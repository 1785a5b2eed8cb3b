import type { ObjectStore } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { LakeAccess } from "../lakes/lake-kind.ts";
import { lakeKind } from "../lakes/lake-kinds.ts";

/** The one way to the lake's objects. Rejects as the kind's store does. */
export function openLakeStore(config: GatewayConfig, access: LakeAccess): Promise<ObjectStore> {
  const { lakeTarget } = config;
  return lakeKind(lakeTarget).open(lakeTarget, config, access);
}
