import type { ObjectStore } from "../../bridge/lake/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { LakeAccess } from "./lake-kind.ts";
import { lakeKind } from "./lake-kinds.ts";

/** Opens the lake's objects. Rejects with the errors of the kind's store. */
export function openLakeStore(config: GatewayConfig, access: LakeAccess): Promise<ObjectStore> {
  const { lakeTarget } = config;
  return lakeKind(lakeTarget).open(lakeTarget, config, access);
}
