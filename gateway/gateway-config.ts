import type { KindTarget } from "../bridge/config.ts";
import type { Settings } from "./settings/base-schema.ts";
import type { commandFlags } from "./settings/command-flags.ts";

/** What the URLs of stream and window name, with passwords in place. */
export interface Backends {
  readonly stream: KindTarget;
  readonly window: KindTarget;
}

/** The whole configuration, checked and frozen. It holds passwords: never to be logged or answered as a whole. */
export interface GatewayConfig extends Settings {
  readonly backends: Backends;
  /** What other commands have to be given to mean the same. */
  readonly flags: ReturnType<typeof commandFlags>;
  /** Absolute paths of what the data folder holds. */
  readonly folders: {
    readonly data: string;
    readonly registry: string;
    readonly stream: string;
    /** null = the lake is on no disk of this machine. */
    readonly lake: string | null;
    /** Files on their way to and from a lake that is elsewhere. */
    readonly lakeFiles: string;
  };
  readonly lakeTarget: KindTarget;
  /** With which every command means the same lake, wherever it is run. */
  readonly lakeUrl: string;
  /** Absolute; null = none. */
  readonly configFile: string | null;
}

/** The same with the sections that a kind has brought along: the whole schema holds them, the common part does not. */
export function withSections<Sections>(config: GatewayConfig): GatewayConfig & Sections {
  return config as GatewayConfig & Sections;
}
