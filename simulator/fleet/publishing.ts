import type { LedgerWriter } from "../ledger/ledger-writer.ts";
import type { MessagePlan } from "../scenario/message-plan.ts";
import type { MessageRole } from "../scenario/message-roles.ts";
import type { FleetCounters } from "./fleet-counters.ts";
import type { InFlight } from "./in-flight.ts";
import type { PublishEncoder } from "./publish-encoder.ts";

/** A message that leaves on a connection of its own. */
export type VisitRole = Exclude<MessageRole, "plain" | "reused">;

/** Takes such messages from their lanes. */
export interface VisitSink {
  readonly hasRoom: boolean;
  begin(index: number, role: VisitRole): void;
}

/** What all connections of a run publish with. */
export interface Publishing {
  readonly plan: MessagePlan;
  readonly encoder: PublishEncoder;
  readonly ledger: LedgerWriter;
  readonly counters: FleetCounters;
  readonly inFlight: InFlight;
  readonly visits: VisitSink;
  /** By `performance.now()`. */
  readonly startedAtMs: number;
  /** Messages with an index below this may be published now. */
  dueCount: number;
}
