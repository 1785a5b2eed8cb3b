import type { FaultShares } from "./faults.ts";
import type { MixShares } from "./mix.ts";

export type PayloadFormat = "json" | "envelope";
export type Qos = 0 | 1 | 2;

/**
 * Everything that decides what a run publishes, when and under which names. The head of the ledger holds it,
 * and fleet and audit make the same messages from it.
 */
export interface Scenario {
  /**
   * 11 characters of base64url: 8 random bytes, drawn for each run, so that equal seeds never share a message
   * id.
   */
  readonly runId: string;
  /** 0 to 2^32 − 1. */
  readonly seed: number;
  readonly devices: number;
  readonly connections: number;
  /** Messages that one connection publishes back to back, as a field gateway does for its devices. */
  readonly burst: number;
  /** Messages per second of the whole fleet. */
  readonly rate: number;
  readonly durationS: number;
  readonly payloadBytes: number;
  /** For messages whose kind is not in the mix. */
  readonly qos: Qos;
  readonly format: PayloadFormat;
  /** Topic filter with named levels. */
  readonly filter: string;
  readonly faults: FaultShares;
  /** Absent = nothing. */
  readonly mix?: MixShares;
}

/** Messages are numbered 0, 1, … in the order in which they are due. Numbers fit in 31 bits. */
export const messagesMax = 2 ** 31 - 1;

export function totalMessages(scenario: Pick<Scenario, "rate" | "durationS">): number {
  return Math.max(1, Math.round(scenario.rate * scenario.durationS));
}
