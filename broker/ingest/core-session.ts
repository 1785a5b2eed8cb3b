import type { Identity } from "./device-registry.ts";
import { InFlight } from "./in-flight.ts";
import type { IngestMetrics } from "./ingest-metrics.ts";
import type { IngestClient, IngestSession, SessionLimits } from "./ingest-session.ts";
import { type Ingress, ingressPublish, type TelemetryVerdict, type Verdict } from "./ingress.ts";
import type { LiveAudience } from "./live-audience.ts";
import type { PublishMessage } from "./publish-message.ts";
import type { PublishSink } from "./publish-sink.ts";
import { type Refusal, type RefusalCode, type RefusalFields, refusalOf } from "./refusal.ts";
import type { RefusalLog, RefusedClient } from "./refusal-log.ts";

interface HeldMessage<Tag> {
  readonly tag: Tag;
  readonly qos: 0 | 1 | 2;
  readonly bytes: number;
  readonly acceptedAtMs: number;
  isSettled: boolean;
  /** Why the message is not durable. */
  refusal: Refusal | null;
  /** The client was told earlier, because the message was held for too long. */
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
  readonly busy: Set<CoreSession<unknown>>;
  /** Open sessions. */
  readonly open: Set<CoreSession<unknown>>;
  /** Requests a call of `endTurn`, once in this turn of the event loop. */
  endTurnSoon(session: CoreSession<unknown>): void;
}

/**
 * Judges the messages of one client, holds them until they are durable, and reports each in the order of
 * arrival.
 */
export class CoreSession<Tag> implements IngestSession<Tag> {
  readonly identity: Identity | null;
  readonly who: RefusedClient;
  readonly #context: SessionContext;
  readonly #ingress: Ingress;
  readonly #limits: SessionLimits;
  readonly #inFlight = new InFlight<HeldMessage<Tag>>();
  #client!: IngestClient<Tag>;
  #hasEnded = false;
  #isRevoked = false;
  /** When the last message was judged: the clock is read once for each message. */
  #judgedAtMs = 0;
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

  get hasRoom(): boolean {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const { count, bytes } = this.#inFlight;
    return count < inFlightMax && bytes < inFlightMaxBytes && !this.#context.sink.isFull;
  }

  get isRelieved(): boolean {
    const { inFlightMax, inFlightMaxBytes } = this.#limits;
    const { count, bytes } = this.#inFlight;
    return count <= inFlightMax / 2 && bytes <= inFlightMaxBytes / 2 && !this.#context.sink.isFull;
  }

  /** Called once, by the core, before anything else. */
  connect(client: IngestClient<Tag>): void {
    this.#client = client;
    if (!this.#hasEnded && !client.hasLeft) this.#context.open.add(this);
  }

  publish(message: PublishMessage, tag: Tag): void {
    const refusal = this.#excess() ?? this.#take(message, tag);
    if (refusal === null) return;
    this.#refused(refusal, { topic: message.topic });
    this.#client.settled(tag, refusal);
  }

  judge(message: PublishMessage): Verdict {
    this.#judgedAtMs = this.#context.now();
    return this.#ingress.judge(message, this.#judgedAtMs);
  }

  accept(
    message: PublishMessage,
    verdict: TelemetryVerdict,
    tag: Tag,
    stored: ((isStored: boolean) => void) | null = null,
  ): void {
    const { metrics, audience, sink, busy } = this.#context;
    const { qos } = message;
    metrics.received[`qos${qos}`] += 1;
    const held: HeldMessage<Tag> = {
      tag,
      qos,
      bytes: message.payload.length,
      acceptedAtMs: this.#judgedAtMs,
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

  acceptLast(message: PublishMessage, verdict: TelemetryVerdict, settled: (error?: Error) => void): void {
    this.#context.sink.accept(ingressPublish(message, verdict), settled);
  }

  acknowledged(count: number): void {
    this.#context.metrics.acknowledged += count;
  }

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

  /**
   * Called periodically. Refuses messages that were held for too long, and the messages after them wait no
   * longer.
   */
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

  /** Called by the core at the end of a turn in which messages settled. */
  endTurn(): void {
    this.#isObserved = false;
    if (!this.#hasEnded) this.#client.turnEnded?.();
  }

  get #isGone(): boolean {
    return this.#hasEnded || this.#client.hasLeft;
  }

  #take(message: PublishMessage, tag: Tag): Refusal | null {
    if (this.#isRevoked) return refusalOf("credentials");
    const verdict = this.judge(message);
    if (verdict.kind === "refused") return verdict.refusal;
    if (verdict.kind === "plain") return refusalOf("not-telemetry");
    this.accept(message, verdict, tag);
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

  #settle(held: HeldMessage<Tag>, error: Error | undefined): void {
    held.isSettled = true;
    if (error) {
      // QoS 0 has no guarantee; the sink has counted the drop.
      const isCounted = held.qos > 0 && !held.isAnswered && !this.#isGone;
      held.refusal = isCounted ? this.#fail() : refusalOf("not-durable");
    }
    for (let due = this.#inFlight.takeSettled(); due; due = this.#inFlight.takeSettled()) this.#tell(due);
    if (this.#inFlight.count === 0) this.#context.busy.delete(this);
    this.#context.endTurnSoon(this);
  }

  #tell(held: HeldMessage<Tag>): void {
    if (this.#hasEnded || held.isAnswered) return;
    if (!this.#isObserved && held.qos > 0 && held.refusal === null) {
      this.#isObserved = true;
      const { metrics, now } = this.#context;
      metrics.acknowledgementSeconds.observe(Math.max(0, now() - held.acceptedAtMs) / 1000);
    }
    this.#client.settled(held.tag, held.refusal);
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
