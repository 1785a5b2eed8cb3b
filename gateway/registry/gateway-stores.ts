import type { Logger } from "pino";
import type { LakeState } from "../../bridge/lake/index.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { RegistryStore } from "./registry-store.ts";
import type { TopicArchive } from "./topic-archive.ts";

export interface GatewayLake {
  readonly lakeId: string;
  readonly url: string;
  readonly topics: TopicArchive;
  /** The committed positions and counters of every stream. */
  state(): Promise<LakeState>;
}

export interface RegistryOptions {
  readonly config: GatewayConfig;
  readonly logger: Logger;
  readonly random: () => number;
  readonly now: () => number;
}

export interface OpenedRegistry {
  readonly store: RegistryStore;
  /** True if the registry was created. */
  readonly isNew: boolean;
}
