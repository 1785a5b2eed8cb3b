import type { LedgerWriter } from "../ledger/ledger-writer.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";
import type { FleetCounters } from "./fleet-counters.ts";
import type { InFlight } from "./in-flight.ts";
import type { PublishEncoder } from "./publish-encoder.ts";

/** What all connections of a run publish with. */
export interface Publishing {
  readonly plan: MessagePlan;
  readonly encoder: PublishEncoder;
  readonly ledger: LedgerWriter;
  readonly counters: FleetCounters;
  readonly inFlight: InFlight;
  readonly qos: 0 | 1;
  /** By `performance.now()`. */
  readonly startedAtMs: number;
  /** Messages with an index below it may be published now. */
  dueCount: number;
}
