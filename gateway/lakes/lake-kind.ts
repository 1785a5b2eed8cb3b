import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { KindDescriptor, KindTarget } from "../../bridge/config.ts";
import type { ObjectStore } from "../../bridge/index.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { Settings } from "../settings/base-schema.ts";
import type { ConfigFault } from "../settings/settings-sources.ts";
import type { FileIdentity } from "../supervisor/folder-identity.ts";

export interface LakeAccess {
  /** `write`: whoever writes finds out at the start whether that works, where it costs requests to find out. */
  readonly access: "read" | "write";
  readonly logger?: Logger;
  readonly registry?: Registry;
  /** Ends the opening of a lake that does not answer. */
  readonly signal?: AbortSignal;
  /** Instead of the data folder's, for files that come from a lake elsewhere. */
  readonly filesFolder?: string;
  /** For what is too large for memory. With it a lake in a folder is opened for reading only: nothing is written there. */
  readonly stagingFolder?: string;
}

export interface LakePlace {
  /** null = it is on no disk of this machine, or not there yet. */
  readonly folder: FileIdentity | null;
  /** `bucket/prefix`; null = it is in a folder. */
  readonly bucket: string | null;
}

/** A kind of place for a lake: what the gateway has to know of it. */
export interface LakeKind<Target extends KindTarget = KindTarget> extends KindDescriptor<Target> {
  /** The URL that names the lake from anywhere. */
  urlOf(target: Target): string;
  /** null = it is on no disk of this machine. */
  folderOf(target: Target): string | null;
  placeOf(target: Target): LakePlace;
  /** What is wrong with the kind's settings taken together. */
  faults?(settings: Settings): ConfigFault[];
  /** See `StreamKind.proofServer`. */
  readonly proofServer?: string;
  open(target: Target, config: GatewayConfig, access: LakeAccess): Promise<ObjectStore>;
}
