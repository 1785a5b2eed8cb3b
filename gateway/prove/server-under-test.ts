import type { Strikable, StrikeEffect } from "./strikes.ts";

/** A server of the proof's own, which can be struck: `strike` resolves when the fault is over, and the server serves again. */
export interface ServerUnderTest extends Strikable {
  /** For the gateways. */
  readonly url: string;
  /** Of the processes that use it. */
  readonly environment: Readonly<Record<string, string>>;
  strike(strike: Parameters<Strikable["strike"]>[0]): Promise<StrikeEffect | null>;
  /** Before everything ends: keeps what a person may want to look at, in a folder. */
  keep(folder: string): Promise<void>;
  close(): Promise<void>;
}
