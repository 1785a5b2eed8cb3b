import type { Position } from "./stream-log.ts";

/** How far a lake has filed one partition, and the last filed block of each producer. */
export interface CommittedMove {
  readonly to: Position;
  readonly streamTimeMs: number;
  readonly producers: Readonly<Record<string, { readonly lastSequence: number }>>;
}

/** PORT: the part of a lake's commits that streams need. */
export interface CommittedMoves {
  /** By partition key, see `partitionKey`. */
  readonly moves: ReadonlyMap<string, CommittedMove>;
}
