import type { Identity } from "./device-registry.ts";
import { InFlight } from "./in-flight.ts";
import type { IngestClient, SessionLimits } from "./ingest-client.ts";
import type { IngestMetrics } from "./ingest-metrics.ts";
import { type Ingress, ingressPublish, type TelemetryVerdict, type Verdict } from "./ingress.ts";
import type { LiveAudience } from "./live-audience.ts";
import type { PublishMessage } from "./publish-message.ts";
import type { PublishSink } from "./publish-sink.ts";
import { type Refusal, type RefusalCode, type RefusalFields, refusalOf } from "./refusal.ts";
import type { RefusalLog, RefusedClient } from "./refusal-log.ts";

/** Told once for each message: null = it is durable. */
export type Settled = (refusal: Refusal | null) => void;

interface HeldMessage {
  readonly settled: Settled;
  readonly qos: 0 | 1 | 2;
  readonly bytes: number;
  readonly acceptedAtMs: number;
  isSettled: boolean;
  /** Why it is not durable. */
  refusal: Refusal | null;
  /** It was told of before its turn, since it was held for too long. */
  isAnswered: boolean;
}

/** What all sessions of a core share. */
export interface SessionContext {
  readonly sink: PublishSink;
  audience: LiveAudience;
  readonly metrics: IngestMetrics;
  readonly refusals: RefusalLog;
  readonly now: () => number;
  /** Sessions with messages in flight. */
  readonly busy: Set<IngestSession>;
  /** Open sessions. */
  readonly open: Set<IngestSession>;
  /** Has `endTurn` called once in this turn of the event loop. */
  endTurnSoon(session: IngestSession): void;
}

/** One client of one front end, after it has said who it is: judges its messages, holds them until they are durable, and tells of each in the order in which they came. */
export class IngestSession {
  readonly identity: Identity | null;
  readonly who: RefusedClient;
  readonly #context: SessionContext;
  readonly #ingress: Ingress;
  readonly #limits: SessionLimits;
  readonly #inFlight = new InFlight<HeldMessage>();
  #client!: IngestClient;
  #hasEnded = false;
  #isRevoked = false;
  /** One acknowledgement of this turn was observed. */
  #isObserved = false;

  constructor(
    context: SessionContext,
    parts: { identity: Identity | null; who: RefusedClient; ingress: Ingress; limits: SessionLimits },
  ) {
    this.#context = context;
    this.identity = parts.identity;
    this.who = parts.who;
    this.#ingress = parts.ingress;
    this.#limits = parts.limits;
  }

  get inFlightCount(): number {
    return this.#inFlight.count;
  }

  get inFlightBytes(): number {
    return this.#inFlight.bytes;
  }

  /** False: a front end that can stop its client from sending does so now. */
  get hasRoom(): boolean {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const { count, bytes } = this.#inFlight;
    return count < inFlightMax && bytes < inFlightMaxBytes && !this.#context.sink.isFull;
  }

  /** True: a client that was stopped may go on. */
  get isRelieved(): boolean {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const { count, bytes } = this.#inFlight;
    return count <= inFlightMax / 2 && bytes <= inFlightMaxBytes / 2 && !this.#context.sink.isFull;
  }

  /** Called once, by the core, before anything else. */
  connect(client: IngestClient): void {
    this.#client = client;
    if (!this.#hasEnded && !client.hasLeft) this.#context.open.add(this);
  }

  /**
   * Judges a message and hands it to the sink. `settled` is called once: at once if the message is refused, otherwise when it is durable or
   * can't become so, after `settled` of all messages before it. Messages beyond the session's limits are refused. After `end` it is called
   * for none.
   */
  publish(message: PublishMessage, settled: Settled): void {
    const refusal = this.#excess() ?? this.#take(message, settled);
    if (refusal === null) return;
    this.#refused(refusal, { topic: message.topic });
    settled(refusal);
  }

  /** For a front end that does something else with some messages, or that stops its client instead of refusing: `judge`, then `accept`. Counts nothing. */
  judge(message: PublishMessage): Verdict {
    return this.#ingress.judge(message, this.#context.now());
  }

  /** `stored` is told at once, whatever has become of the session and of earlier messages. */
  accept(
    message: PublishMessage,
    verdict: TelemetryVerdict,
    settled: Settled,
    stored: ((isStored: boolean) => void) | null = null,
  ): void {
    const { metrics, audience, sink, now, busy } = this.#context;
    const { qos } = message;
    metrics.received[`qos${qos}`] += 1;
    const held: HeldMessage = {
      settled,
      qos,
      bytes: message.payload.length,
      acceptedAtMs: now(),
      isSettled: false,
      refusal: null,
      isAnswered: false,
    };
    this.#inFlight.add(held);
    busy.add(this);
    const show = audience.prepare(message);
    sink.accept(ingressPublish(message, verdict), (error) => {
      if (!error) show?.();
      stored?.(!error);
      this.#settle(held, error);
    });
  }

  /** What a client left behind, such as a will: outside the session's limits and order, also after its end, and not shown to the audience. */
  acceptLast(message: PublishMessage, verdict: TelemetryVerdict, settled: (error?: Error) => void): void {
    this.#context.sink.accept(ingressPublish(message, verdict), settled);
  }

  /** Counts acknowledgements that were written: the books compare them with what was appended. */
  acknowledged(count: number): void {
    this.#context.metrics.acknowledged += count;
  }

  /** The connection has ended, or is being ended. What was accepted goes its way, and nobody is told; what had been read by then may still be accepted. */
  end(): void {
    this.#hasEnded = true;
    this.#context.open.delete(this);
  }

  /** Its identity was removed or changed. */
  revoke(): void {
    this.#isRevoked = true;
    this.end();
    this.#client.revoked();
  }

  /** Called now and then: what has been held for too long is refused, and what waits behind it waits no longer. */
  checkDeadline(nowMs: number): void {
    const { holdMaxMs } = this.#limits;
    if (nowMs - (this.#inFlight.oldestAtMs ?? nowMs) <= holdMaxMs) return;
    for (const held of this.#inFlight.acceptedBefore(nowMs - holdMaxMs)) {
      if (this.#isGone) return;
      if (held.isAnswered) continue;
      const actual = nowMs - held.acceptedAtMs;
      if (!held.isSettled) held.refusal = this.#fail({ bound: "holdMaxMs", limit: holdMaxMs, actual });
      this.#tell(held);
      held.isAnswered = true;
    }
    this.#context.endTurnSoon(this);
  }

  /** Called by the core at the end of a turn in which something settled. */
  endTurn(): void {
    this.#isObserved = false;
    if (!this.#hasEnded) this.#client.turnEnded?.();
  }

  get #isGone(): boolean {
    return this.#hasEnded || this.#client.hasLeft;
  }

  #take(message: PublishMessage, settled: Settled): Refusal | null {
    if (this.#isRevoked) return refusalOf("credentials");
    const verdict = this.judge(message);
    if (verdict.kind === "refused") return verdict.refusal;
    if (verdict.kind === "plain") return refusalOf("not-telemetry");
    this.accept(message, verdict, settled);
    return null;
  }

  #excess(): Refusal | null {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const { count, bytes } = this.#inFlight;
    if (this.#context.sink.isFull) return refusalOf("no-room");
    if (count >= inFlightMax)
      return refusalOf("in-flight-limit", { bound: "inFlightMax", limit: inFlightMax, actual: count + 1 });
    if (bytes < inFlightMaxBytes) return null;
    return refusalOf("in-flight-limit", {
      bound: "inFlightMaxBytes",
      limit: inFlightMaxBytes,
      actual: bytes,
    });
  }

  #settle(held: HeldMessage, error: Error | undefined): void {
    held.isSettled = true;
    if (error) {
      // QoS 0 promises nothing; the sink has counted the drop.
      const isCounted = held.qos > 0 && !held.isAnswered && !this.#isGone;
      held.refusal = isCounted ? this.#fail() : refusalOf("not-durable");
    }
    for (let due = this.#inFlight.takeSettled(); due; due = this.#inFlight.takeSettled()) this.#tell(due);
    if (this.#inFlight.count === 0) this.#context.busy.delete(this);
    this.#context.endTurnSoon(this);
  }

  #tell(held: HeldMessage): void {
    if (this.#hasEnded || held.isAnswered) return;
    if (!this.#isObserved && held.qos > 0 && held.refusal === null) {
      this.#isObserved = true;
      const { metrics, now } = this.#context;
      metrics.acknowledgementSeconds.observe(Math.max(0, now() - held.acceptedAtMs) / 1000);
    }
    held.settled(held.refusal);
  }

  #fail(fields: RefusalFields = {}): Refusal {
    const refusal = refusalOf("not-durable", fields);
    this.#refused(refusal);
    this.#client.failed?.(refusal);
    return refusal;
  }

  #refused(refusal: { code: RefusalCode; fields: RefusalFields }, fields: RefusalFields = {}): void {
    const identity = this.identity?.name ?? null;
    this.#context.refusals.refuse(refusal.code, this.who, { ...fields, ...refusal.fields, identity });
  }
}
