import type { UnreadRecords } from "./stream-replacement.ts";

/** Who a stream is, as it says itself. */
export interface StreamRecord {
  readonly format: number;
  readonly streamId: string;
  readonly partitionCount: number;
  readonly createdAtMs: number;
  /** True where an operator started it on purpose in place of another stream whose positions the lake may hold. */
  readonly startedAnew: boolean;
  /** The stream it replaced, where that was known. */
  readonly replaces: string | null;
  /** What that one held and nobody has filed; null where it replaced none, and where nobody knows. */
  readonly unread: UnreadRecords | null;
}
