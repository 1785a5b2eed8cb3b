import type { Identity } from "./device-registry.ts";
import type { TelemetryVerdict, Verdict } from "./ingress.ts";
import type { PublishMessage } from "./publish-message.ts";
import type { Refusal } from "./refusal.ts";
import type { RefusedClient } from "./refusal-log.ts";

/** Bounds of what one session holds. */
export interface SessionLimits {
  readonly inFlightMax: number;
  readonly inFlightMaxBytes: number;
  /** A message that is not durable after this is refused. */
  readonly holdMaxMs: number;
}

/**
 * One client of one front end, after it has said who it is. `Tag` is by what the front end knows a message
 * again.
 */
export interface IngestSession<Tag> {
  /** null: an anonymous client. */
  readonly identity: Identity | null;
  readonly who: RefusedClient;
  readonly inFlightCount: number;
  /** False: a front end that can stop its client from sending does so now. */
  readonly hasRoom: boolean;
  /** True: a client that was stopped may go on. */
  readonly isRelieved: boolean;

  /**
   * Judges a message and hands it to the sink. `settled` of the client is called once: at once if the message
   * is refused, otherwise when it is durable or can't become so, after `settled` of all messages before it.
   * Messages beyond the session's limits are refused. After `end` nobody is told. A refusal has been counted
   * and logged.
   */
  publish(message: PublishMessage, tag: Tag): void;

  /**
   * The two halves of `publish`, for a front end that does something else with some messages, or that stops
   * its client instead of refusing what is beyond the limits. `judge` counts nothing; `accept` follows it at
   * once. `stored` is told as soon as the sink knows, whatever has become of the session and of earlier
   * messages.
   */
  judge(message: PublishMessage): Verdict;
  accept(
    message: PublishMessage,
    verdict: TelemetryVerdict,
    tag: Tag,
    stored?: ((isStored: boolean) => void) | null,
  ): void;

  /**
   * For what a client left behind, such as a will: outside the session's limits and order, also after its
   * end, and not shown to the audience.
   */
  acceptLast(message: PublishMessage, verdict: TelemetryVerdict, settled: (error?: Error) => void): void;

  /** Counts acknowledgements that were written: the books compare them with what was appended. */
  acknowledged(count: number): void;

  /**
   * The connection has ended, or is being ended. What was accepted goes its way, and nobody is told. What had
   * been read by then may still be accepted.
   */
  end(): void;
}

/** What the ingest core asks a front end about one client, and tells it. */
export interface IngestClient<Tag> {
  /** True from the moment on in which no answer can reach the client. */
  readonly hasLeft: boolean;
  /** A message is durable (null), or can't become so. */
  settled(tag: Tag, refusal: Refusal | null): void;
  /** The identity was removed or changed: the session takes nothing more, and the connection must end. */
  revoked(): void;
  /**
   * All that settled in this turn of the event loop has been told: answers can leave in one write, and
   * `isRelieved` may have become true.
   */
  turnEnded?(): void;
  /**
   * A message did not become durable in time. Called before its `settled`, also while earlier ones are still
   * held. For protocols that have no answer for one message and end the connection.
   */
  failed?(refusal: Refusal): void;
}
