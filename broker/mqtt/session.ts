import type { BrokerConfig } from "../config.ts";
import type { Identity } from "../ingest/device-registry.ts";
import { type HeldMessage, InFlight } from "../ingest/in-flight.ts";
import type { BrokerMetrics } from "../ingest/ingest-metrics.ts";
import { type Ingress, ingressPublish, type Verdict } from "../ingest/ingress.ts";
import type { PublishSink } from "../ingest/publish-sink.ts";
import type { RefusalReason } from "../ingest/refusal.ts";
import type { RefusalFields, RefusalLog } from "../ingest/refusal-log.ts";
import { AcknowledgementBuffer, writePubcomp } from "./acknowledgement-writer.ts";
import {
  type AedesClient,
  type PublishPacket,
  pauseReading,
  refreshKeepAlive,
  refusedClientOf,
  resumeReading,
  type Will,
} from "./aedes/aedes-client.ts";
import type { LiveSubscribers } from "./live-subscribers.ts";
import type { PacedCloses } from "./paced-closes.ts";
import { contentHashOf, type ReceivedIds } from "./received-ids.ts";

/** QoS 2 messages of a session between PUBLISH and PUBREL. A client that never sends PUBREL would pile them up. */
const UNRELEASED_MAX = 8_192;
/** Acknowledgements and messages that wait in the socket because the client does not read; beyond them it is not read either. */
const UNREAD_MAX_BYTES = 65_536;

/** What all connections of a broker share. */
export interface SessionContext {
  readonly config: BrokerConfig;
  readonly sink: PublishSink;
  readonly metrics: BrokerMetrics;
  readonly refusals: RefusalLog;
  readonly live: LiveSubscribers;
  readonly pacedCloses: PacedCloses;
  readonly now: () => number;
  /** Sessions with messages in flight. */
  readonly sessions: Set<Session>;
  /** Sessions that are not read now. */
  readonly paused: Set<Session>;
  /** Has `flush` and `resumeIfRoom` called once in this turn of the event loop. */
  flushSoon(session: Session): void;
}

/** One connection after CONNECT: takes its telemetry, holds it until it is durable, acknowledges it in order. */
export class Session {
  readonly client: AedesClient;
  readonly identity: Identity | null;
  readonly #context: SessionContext;
  readonly #ingress: Ingress;
  readonly #receivedIds: ReceivedIds;
  readonly #inFlight = new InFlight();
  readonly #acknowledgements = new AcknowledgementBuffer();
  /** How many of them repeat the PUBREC of a message that was stored before. */
  #repeats = 0;
  /** Since when it is not read. */
  #pausedAtMs: number | null = null;
  #isClosing = false;

  constructor(
    context: SessionContext,
    client: AedesClient,
    parts: { identity: Identity | null; ingress: Ingress; receivedIds: ReceivedIds },
  ) {
    this.#context = context;
    this.client = client;
    this.identity = parts.identity;
    this.#ingress = parts.ingress;
    this.#receivedIds = parts.receivedIds;
  }

  get inFlightCount(): number {
    return this.#inFlight.count;
  }

  get inFlightBytes(): number {
    return this.#inFlight.bytes;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  get unreadBytes(): number {
    return this.client.conn.writableLength;
  }

  /** CONNACK is out, and an older connection of the same client is closed. */
  begin(): void {
    this.#receivedIds.dropHeld();
  }

  /** True where it was telemetry, or refused; false: it is Aedes' to handle. */
  takePublish(packet: PublishPacket): boolean {
    if (this.#isClosing) return true;
    const nowMs = this.#context.now();
    const contentHash = packet.qos === 2 ? contentHashOf(packet) : "";
    const known = contentHash && this.#receivedIds.stateOf(packet.messageId as number, contentHash);
    if (known) return this.#repeatReceived(packet.messageId as number, known);
    const verdict = this.#ingress.judge(packet, nowMs);
    if (verdict.kind === "plain") {
      // From here on the identifier is that of a plain message, and its PUBREL Aedes' business.
      if (packet.qos === 2) this.#receivedIds.release(packet.messageId as number);
      // Queues and the retained store keep it; as a view it would keep its whole read chunk.
      packet.payload = Buffer.from(packet.payload);
      return false;
    }
    if (verdict.kind === "refused")
      return this.refuse(verdict.reason, { topic: packet.topic, ...verdict.fields });
    if (packet.qos === 2 && this.#receivedIds.size >= UNRELEASED_MAX)
      return this.refuse("unreleased", { limit: UNRELEASED_MAX, actual: this.#receivedIds.size + 1 });
    refreshKeepAlive(this.client);
    this.#hold(packet, verdict, { nowMs, contentHash });
    return true;
  }

  /** A will, at the end of its connection: filed like a message, without an acknowledgement. Plain messages come here as well, on their way. */
  takeWill(packet: Will, done: (error?: Error) => void = () => {}): Verdict["kind"] {
    const verdict = this.#ingress.judge(packet, this.#context.now());
    if (verdict.kind === "refused")
      this.#refused(verdict.reason, { topic: packet.topic, will: true, ...verdict.fields });
    if (verdict.kind === "plain") this.#context.metrics.plain += 1;
    if (verdict.kind !== "telemetry") return verdict.kind;
    this.#context.metrics.wills += 1;
    this.#clearRetain(packet);
    this.#context.sink.accept(ingressPublish(packet, verdict), (error) => {
      // Nobody sends it again.
      if (error) this.#refused("not-durable", { topic: packet.topic, will: true });
      done(error);
    });
    return "telemetry";
  }

  /** True where the identifier was one of telemetry. */
  takePubrel(messageId: number): boolean {
    const state = this.#receivedIds.state(messageId);
    if (state === undefined) return false;
    // [MQTT-4.3.3-1] PUBREL answers PUBREC, which has not been sent.
    if (state === "held") return this.refuse("malformed", { packet: "pubrel" });
    this.#receivedIds.release(messageId);
    refreshKeepAlive(this.client);
    writePubcomp(this.client.conn, messageId);
    return true;
  }

  /** Writes what has become due. Called once per turn in which messages settled. */
  flush(): void {
    const { count } = this.#acknowledgements;
    if (count === 0 || this.client.closed) return;
    this.#acknowledgements.writeTo(this.client.conn);
    this.#context.metrics.acknowledged += count;
    this.#context.metrics.repeated += this.#repeats;
    this.#repeats = 0;
  }

  resumeIfRoom(): void {
    const { config, sink } = this.#context;
    const { count, bytes } = this.#inFlight;
    if (this.#pausedAtMs === null || this.#isClosing || sink.isFull) return;
    if (count > config.inFlightMax / 2 || bytes > config.inFlightMaxBytes / 2) return;
    if (this.unreadBytes > UNREAD_MAX_BYTES / 2) return;
    this.#pausedAtMs = null;
    this.#context.paused.delete(this);
    refreshKeepAlive(this.client);
    resumeReading(this.client);
  }

  /** Its messages could not be made durable: closed without acknowledgement, at the pace that the broker allows. */
  giveUp(fields: RefusalFields = {}): void {
    if (this.#isClosing || this.client.closed) return;
    this.#isClosing = true;
    this.stopReading();
    this.#refused("not-durable", fields);
    this.#context.pacedCloses.add(() => this.client.close());
  }

  /** Its identity was removed: nothing more of it is taken. */
  revoke(): void {
    this.#isClosing = true;
    this.client.close();
  }

  /** Always true: the packet is dealt with. */
  refuse(reason: RefusalReason, fields: RefusalFields): true {
    if (this.#isClosing) return true;
    this.#refused(reason, fields);
    this.#isClosing = true;
    // What is durable by now is acknowledged all the same: it need not come again.
    this.flush();
    this.client.close();
    return true;
  }

  /** CONNACK is out: what waited behind CONNECT is read, unless reading was stopped meanwhile. */
  startReading(): void {
    if (this.#pausedAtMs === null) resumeReading(this.client);
  }

  stopReading(): void {
    if (this.#pausedAtMs !== null || this.client.closed) return;
    this.#pausedAtMs = this.#context.now();
    this.#context.paused.add(this);
    pauseReading(this.client);
  }

  /** Called now and then: ends what has lasted too long. */
  checkDeadlines(nowMs: number): void {
    if (this.client.closed) return;
    const { config } = this.#context;
    const heldMs = nowMs - (this.#inFlight.oldestAtMs ?? nowMs);
    if (heldMs > config.holdMaxMs)
      this.giveUp({ bound: "holdMaxMs", limit: config.holdMaxMs, actual: heldMs });
    if (this.#pausedAtMs === null) return;
    const pausedMs = nowMs - this.#pausedAtMs;
    const patienceMs = this.#patienceMs();
    if (this.#inFlight.count > 0 && pausedMs > patienceMs)
      this.giveUp({ bound: "keepAlive", limit: patienceMs, actual: pausedMs });
    const { unreadBytes } = this;
    if (unreadBytes > UNREAD_MAX_BYTES / 2 && pausedMs > config.drainTimeoutMs)
      this.refuse("slow-subscriber", {
        bound: "drainTimeoutMs",
        limit: config.drainTimeoutMs,
        actual: pausedMs,
        unreadBytes,
      });
    // Its PINGREQ can't be seen while we do not read.
    refreshKeepAlive(this.client);
  }

  /** Half the keep alive: not being read, the client gets no answer to its PINGREQ and would end the connection in its own time. */
  #patienceMs(): number {
    const intervalMs = this.client._keepaliveInterval;
    return intervalMs > 0 ? intervalMs / 1.5 / 2 : Infinity;
  }

  #hold(
    packet: PublishPacket,
    verdict: Verdict & { kind: "telemetry" },
    { nowMs, contentHash }: { nowMs: number; contentHash: string },
  ): void {
    const context = this.#context;
    const { qos } = packet;
    context.metrics.received[`qos${qos}`] += 1;
    this.#clearRetain(packet);
    const receipt = qos === 2 ? this.#receivedIds.hold(packet.messageId as number, contentHash) : null;
    const held: HeldMessage = {
      messageId: packet.messageId ?? 0,
      qos,
      bytes: packet.payload.length,
      acceptedAtMs: nowMs,
      isSettled: false,
    };
    this.#inFlight.add(held);
    context.sessions.add(this);
    const live = context.live.prepare(packet);
    context.sink.accept(ingressPublish(packet, verdict), (error) => {
      held.isSettled = true;
      if (!error) live?.();
      if (receipt) this.#receivedIds.settle(receipt, !error);
      this.#settled(held, error);
    });
    if (this.#isFull()) this.stopReading();
  }

  #isFull(): boolean {
    const { config, sink } = this.#context;
    const { count, bytes } = this.#inFlight;
    const isHeld = count >= config.inFlightMax || bytes >= config.inFlightMaxBytes;
    return isHeld || sink.isFull || this.unreadBytes > UNREAD_MAX_BYTES;
  }

  #settled(held: HeldMessage, error: Error | undefined): void {
    // QoS 0 promises nothing; the sink has counted the drop.
    if (error && held.qos > 0) this.giveUp();
    this.#inFlight.takeSettled((message) => this.#acknowledge(message));
    if (this.#inFlight.count === 0) this.#context.sessions.delete(this);
    this.#context.flushSoon(this);
  }

  #acknowledge(message: HeldMessage): void {
    if (this.#isClosing || message.qos === 0) return;
    if (this.#acknowledgements.count === 0)
      this.#context.metrics.acknowledgementSeconds.observe(
        Math.max(0, this.#context.now() - message.acceptedAtMs) / 1000,
      );
    this.#acknowledgements.add(message.messageId, message.qos);
  }

  /** [MQTT-4.3.3-2] The message is not taken again; PUBREC is, once it is durable. */
  #repeatReceived(messageId: number, state: "held" | "stored"): true {
    refreshKeepAlive(this.client);
    if (state === "stored") {
      this.#repeats += 1;
      this.#acknowledgements.add(messageId, 2);
      this.#context.flushSoon(this);
    }
    return true;
  }

  /** A retained telemetry message would be given to each new subscriber for ever. */
  #clearRetain(packet: { retain: boolean }): void {
    if (!packet.retain) return;
    packet.retain = false;
    this.#context.metrics.retainCleared += 1;
  }

  #refused(reason: RefusalReason, fields: RefusalFields): void {
    this.#context.refusals.refuse(reason, refusedClientOf(this.client), {
      ...fields,
      identity: this.identity?.name ?? null,
    });
  }
}
