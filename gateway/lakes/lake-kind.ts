import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import type { ObjectStore } from "../../bridge/lake/index.ts";
import type { LakePlace } from "../data-folder/lake-place.ts";
import type { Settings } from "../settings/base-schema.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { ConfigFault } from "../settings/settings-sources.ts";

export interface LakeAccess {
  /** `write`: the kind checks at the start that it can write, even if the check costs requests. */
  readonly access: "read" | "write";
  readonly logger?: Logger;
  readonly registry?: Registry;
  /** Aborts the opening of a lake that does not answer. */
  readonly signal?: AbortSignal;
  /** Folder for files of a remote lake, instead of the one in the data folder. */
  readonly filesFolder?: string;
  /**
   * Folder for data that is too large for memory. If it is set, a lake in a folder is opened for reading
   * only.
   */
  readonly stagingFolder?: string;
}

/** A kind of place for a lake, as the gateway knows it. */
export interface LakeKind<Target extends KindTarget = KindTarget> extends KindDescriptor<Target> {
  /** The URL that names the lake independently of the working directory. */
  urlOf(target: Target): string;
  /** null = the lake is not on a disk of this machine. */
  folderOf(target: Target): string | null;
  placeOf(target: Target): LakePlace;
  /** Faults of the kind's settings taken together. */
  faults?(settings: Settings): ConfigFault[];
  open(target: Target, config: GatewayConfig, access: LakeAccess): Promise<ObjectStore>;
}
