import type { Position } from "../streams/stream-log.ts";
import type { HaltCode } from "./partition-halt.ts";

/** Why a block could not be taken; nothing of it was. */
export interface RefusedBlock {
  readonly code: HaltCode;
  readonly message: string;
  readonly position: Position;
  /** Where an operator may let reading go on; null where nothing can be accepted. */
  readonly resumeAfter: Position | null;
  /** What was thrown, for the log. */
  readonly cause?: unknown;
  /** When it may be read after all; absent where only an operator or a new version can change that. */
  readonly retryInMs?: number;
}
