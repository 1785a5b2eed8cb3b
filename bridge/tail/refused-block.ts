import type { Position } from "../streams/stream-log.ts";
import type { HaltCode } from "./partition-halt.ts";

/** Why a block was not taken. None of its messages was. */
export interface RefusedBlock {
  readonly code: HaltCode;
  readonly message: string;
  readonly position: Position;
  /**
   * The position after which reading continues if an operator accepts the loss; null if nothing can be
   * accepted.
   */
  readonly resumeAfter: Position | null;
  /** The exception, for the log. */
  readonly cause?: unknown;
  /** When to retry; absent if only an operator or a new version helps. */
  readonly retryInMs?: number;
}
