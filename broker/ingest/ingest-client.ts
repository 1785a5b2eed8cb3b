import type { Refusal } from "./refusal.ts";

/** What the ingest core asks a front end about one client, and tells it. */
export interface IngestClient {
  /** True from the moment on in which no answer can reach the client. */
  readonly hasLeft: boolean;
  /** The identity was removed or changed: the session takes nothing more, and the connection must end. */
  revoked(): void;
  /** All that settled in this turn of the event loop has been told: answers can leave in one write, and `isRelieved` may be true. */
  turnEnded?(): void;
  /**
   * A message did not become durable in time; called before its `settled`, also while earlier ones are still held. For protocols that have
   * no answer for one message and end the connection.
   */
  failed?(refusal: Refusal): void;
}

/** Bounds of what one session holds. */
export interface SessionLimits {
  readonly inFlightMax: number;
  readonly inFlightMaxBytes: number;
  readonly holdMaxMs: number;
}
