import type { Strike } from "./strikes.ts";

/** What a strike met, where its server can tell; else the gateways' status just before says whether it met work in flight. */
export interface StrikeEffect {
  readonly calls: number;
}

/** A server of the proof's own, which can be struck. */
export interface ServerUnderTest {
  /** For the gateways. */
  readonly url: string;
  /** Of the processes that use it. */
  readonly environment: Readonly<Record<string, string>>;
  /** Resolves when the fault is over, and the server serves again. */
  strike(strike: Pick<Strike, "fault" | "pauseMs" | "absenceMs">): Promise<StrikeEffect | null>;
  /** Before everything ends: keeps what a person may want to look at, in a folder. */
  keep(folder: string): Promise<void>;
  close(): Promise<void>;
}
