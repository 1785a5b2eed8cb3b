import type { LakeAccess } from "./lake-access.ts";
import type { Strikable, StrikeEffect } from "./strike.ts";

/**
 * A server of the proof that can be struck. `strike` resolves when the fault is over and the server serves
 * again.
 */
export interface ServerUnderTest extends Strikable {
  /** For the gateways. */
  readonly url: string;
  /** Of the processes that use it. */
  readonly environment: Readonly<Record<string, string>>;
  strike(strike: Parameters<Strikable["strike"]>[0]): Promise<StrikeEffect | null>;
  /** Of a lake's server: the lake, past what spoils calls. */
  access?(): LakeAccess;
  /** Of a lake's server: resolves as soon as the lake's commit log has a further entry, or after `timeoutMs`. */
  nextCommit?(timeoutMs: number): Promise<void>;
  /** Before everything ends: keeps what a person may want to look at, in a folder. */
  keep(folder: string): Promise<void>;
  close(): Promise<void>;
}
