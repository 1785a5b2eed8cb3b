import type { UnreadRecords } from "./stream-replacement.ts";

/** The identity of a stream, as stored in the stream itself. */
export interface StreamRecord {
  readonly format: number;
  readonly streamId: string;
  readonly partitionCount: number;
  readonly createdAtMs: number;
  /** True if an operator started the stream in place of another one whose positions the lake may hold. */
  readonly startedAnew: boolean;
  /** Id of the replaced stream; null if there was none, or if its id is unknown. */
  readonly replaces: string | null;
  /**
   * Records of the replaced stream that were not filed; null if it replaced none, or if the number is
   * unknown.
   */
  readonly unread: UnreadRecords | null;
}
