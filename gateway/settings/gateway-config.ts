import type { KindTarget } from "../../bridge/config.ts";
import type { Settings } from "./base-schema.ts";
import type { commandFlags } from "./command-flags.ts";

/** The targets of the URLs of stream and window, with passwords. */
export interface Backends {
  readonly stream: KindTarget;
  readonly window: KindTarget;
}

/** The whole configuration, checked and frozen. Holds passwords: never log it or return it in an answer. */
export interface GatewayConfig extends Settings {
  readonly backends: Backends;
  /** Flags that name the same stream and lake for other commands. */
  readonly flags: ReturnType<typeof commandFlags>;
  /** Absolute paths of the folders inside the data folder. */
  readonly folders: {
    readonly data: string;
    readonly registry: string;
    readonly stream: string;
    /** null = the lake is not on a disk of this machine. */
    readonly lake: string | null;
    /** Temporary files of uploads to and downloads from a remote lake. */
    readonly lakeFiles: string;
  };
  readonly lakeTarget: KindTarget;
  /** Names the lake independently of the working directory. */
  readonly lakeUrl: string;
  /** Absolute; null = none. */
  readonly configFile: string | null;
}

/** Adds the sections of a kind to the type. Only the whole schema has them, the common part does not. */
export function withSections<Sections>(config: GatewayConfig): GatewayConfig & Sections {
  return config as GatewayConfig & Sections;
}
