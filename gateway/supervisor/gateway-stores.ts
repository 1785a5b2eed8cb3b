import type { Logger } from "pino";
import type { LakeState } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { TopicArchive } from "../registry/topic-archive.ts";

export interface GatewayLake {
  readonly lakeId: string;
  readonly url: string;
  readonly topics: TopicArchive;
  /** What it holds of every stream. */
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
  /** True where there was none. */
  readonly isNew: boolean;
}
