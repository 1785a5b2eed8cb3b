import type { Logger } from "pino";
import type { GatewayConfig } from "../config.ts";
import type { RegistryStore } from "../registry/registry-store.ts";
import type { TopicArchive } from "../registry/topic-archive.ts";

export interface GatewayLake {
  readonly lakeId: string;
  readonly url: string;
  readonly topics: TopicArchive;
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
