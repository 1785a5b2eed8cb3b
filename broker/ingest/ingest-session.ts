import type { Identity } from "./device-registry.ts";
import type { TelemetryVerdict, Verdict } from "./ingress.ts";
import type { PublishMessage } from "./publish-message.ts";
import type { Refusal } from "./refusal.ts";
import type { RefusedClient } from "./refusal-log.ts";

/** Limits of one session's messages. */
export interface SessionLimits {
  readonly inFlightMax: number;
  readonly inFlightMaxBytes: number;
  /** A message that is not durable after this time is refused. */
  readonly holdMaxMs: number;
}

/** One client of one front end, after its identity is known. `Tag` identifies a message for the front end. */
export interface IngestSession<Tag> {
  /** null: an anonymous client. */
  readonly identity: Identity | null;
  readonly who: RefusedClient;
  readonly inFlightCount: number;
  /** False: a front end that can stop its client from sending must do so now. */
  readonly hasRoom: boolean;
  /** True: a stopped client may continue. */
  readonly isRelieved: boolean;

  /**
   * Judges a message and hands it to the sink. The client's `settled` is called once. A refused message
   * settles at once. Any other one settles when it is durable or cannot become so, after all messages before
   * it.
   *
   * Messages above the session's limits are refused. After `end`, `settled` is not called. Refusals are
   * counted and logged here.
   */
  publish(message: PublishMessage, tag: Tag): void;

  /**
   * The two halves of `publish`. For a front end that treats some messages differently, or that stops its
   * client instead of refusing messages above the limits.
   *
   * `judge` counts nothing; `accept` must follow at once. `stored` is called as soon as the sink has the
   * result, whatever the state of the session and of earlier messages.
   */
  judge(message: PublishMessage): Verdict;
  accept(
    message: PublishMessage,
    verdict: TelemetryVerdict,
    tag: Tag,
    stored?: ((isStored: boolean) => void) | null,
  ): void;

  /**
   * For a message that a client left, such as a will. Outside the session's limits and order, also after its
   * end, and not shown to the audience.
   */
  acceptLast(message: PublishMessage, verdict: TelemetryVerdict, settled: (error?: Error) => void): void;

  /** Counts written acknowledgements: the books compare them with the appended messages. */
  acknowledged(count: number): void;

  /**
   * The connection has ended, or is being ended. Accepted messages are still stored, without a report.
   * Messages that were read before may still be accepted.
   */
  end(): void;
}

/** What the ingest core asks a front end about one client, and reports to it. */
export interface IngestClient<Tag> {
  /** True once no answer can reach the client. */
  readonly hasLeft: boolean;
  /** A message is durable (null), or cannot become so. */
  settled(tag: Tag, refusal: Refusal | null): void;
  /**
   * The identity was removed or changed: the session accepts no more messages, and the connection must end.
   */
  revoked(): void;
  /**
   * All messages that settled in this turn of the event loop have been reported. Answers can leave in one
   * write, and `isRelieved` may have become true.
   */
  turnEnded?(): void;
  /**
   * A message did not become durable in time. Called before its `settled`, also while earlier ones are still
   * held. For protocols that cannot answer a single message and end the connection instead.
   */
  failed?(refusal: Refusal): void;
}
