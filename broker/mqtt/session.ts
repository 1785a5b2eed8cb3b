import { unreadMaxBytes, unreleasedMax } from "../client-limits.ts";
import type { BrokerConfig } from "../config.ts";
import type {
  Identity,
  IngestClient,
  IngestSession,
  Refusal,
  RefusalFields,
  Refuse,
  TelemetryVerdict,
  Verdict,
} from "../ingest/index.ts";
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
import type { MqttMetrics } from "./mqtt-metrics.ts";
import type { MqttRefusalCode } from "./mqtt-refusals.ts";
import type { PacedCloses } from "./paced-closes.ts";
import { contentHashOf, type ReceivedIds } from "./received-ids.ts";

/** What all connections of a broker share. */
export interface SessionContext {
  readonly config: BrokerConfig;
  readonly metrics: MqttMetrics;
  readonly refuse: Refuse<MqttRefusalCode>;
  readonly pacedCloses: PacedCloses;
  readonly now: () => number;
  /** Sessions that are paused. */
  readonly paused: Set<Session>;
}

/** Packet identifier × 4 + QoS: a number needs no allocation. */
export type MessageTag = number;

/** One connection after CONNECT: brings its telemetry to the ingest core and acknowledges it. */
export class Session implements IngestClient<MessageTag> {
  readonly client: AedesClient;
  readonly #context: SessionContext;
  readonly #ingest: IngestSession<MessageTag>;
  readonly #receivedIds: ReceivedIds;
  readonly #acknowledgements = new AcknowledgementBuffer();
  /** How many of them repeat the PUBREC of a message that was stored before. */
  #repeats = 0;
  /** When reading was paused; null if the session is read. */
  #pausedAtMs: number | null = null;
  #isClosing = false;

  constructor(
    context: SessionContext,
    client: AedesClient,
    parts: { ingest: IngestSession<MessageTag>; receivedIds: ReceivedIds },
  ) {
    this.#context = context;
    this.client = client;
    this.#ingest = parts.ingest;
    this.#receivedIds = parts.receivedIds;
  }

  get identity(): Identity | null {
    return this.#ingest.identity;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  get hasLeft(): boolean {
    return this.client.closed;
  }

  get unreadBytes(): number {
    return this.client.conn.writableLength;
  }

  /** CONNACK is out, and an older connection of the same client is closed. */
  begin(): void {
    this.#receivedIds.dropHeld();
  }

  /** The connection has ended. */
  end(): void {
    this.#ingest.end();
  }

  /** True if the packet was telemetry, or was refused; false: Aedes must handle the packet. */
  takePublish(packet: PublishPacket): boolean {
    if (this.#isClosing) return true;
    const contentHash = packet.qos === 2 ? contentHashOf(packet) : "";
    const known = contentHash && this.#receivedIds.stateOf(packet.messageId as number, contentHash);
    if (known) return this.#repeatReceived(packet.messageId as number, known);
    const verdict = this.#ingest.judge(packet);
    if (verdict.kind === "plain") {
      // From here on the identifier belongs to a plain message, and Aedes handles its PUBREL.
      if (packet.qos === 2) this.#receivedIds.release(packet.messageId as number);
      // Queues and the retained store keep the payload; a view would keep its whole read chunk.
      packet.payload = Buffer.from(packet.payload);
      return false;
    }
    if (verdict.kind === "refused")
      return this.refuse(verdict.refusal.code, { topic: packet.topic, ...verdict.refusal.fields });
    if (packet.qos === 2 && this.#receivedIds.size >= unreleasedMax)
      return this.refuse("unreleased", { limit: unreleasedMax, actual: this.#receivedIds.size + 1 });
    refreshKeepAlive(this.client);
    this.#accept(packet, verdict, contentHash);
    return true;
  }

  /**
   * Handles a will, at the end of its connection: filed like a message, without an acknowledgement. Plain
   * messages pass here as well.
   */
  takeWill(packet: Will, done: (error?: Error) => void = () => {}): Verdict["kind"] {
    const verdict = this.#ingest.judge(packet);
    const { metrics } = this.#context;
    if (verdict.kind === "refused")
      this.#refused(verdict.refusal.code, { topic: packet.topic, will: true, ...verdict.refusal.fields });
    if (verdict.kind === "plain") metrics.plain += 1;
    if (verdict.kind !== "telemetry") return verdict.kind;
    metrics.wills += 1;
    this.#clearRetain(packet);
    this.#ingest.acceptLast(packet, verdict, (error) => {
      // No client sends a will again.
      if (error) this.#refused("not-durable", { topic: packet.topic, will: true });
      done(error);
    });
    return "telemetry";
  }

  /** True if the identifier belonged to telemetry. */
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

  settled(tag: MessageTag, refusal: Refusal | null): void {
    const qos = tag & 3;
    if (refusal === null && qos !== 0) this.#acknowledgements.add(tag >> 2, qos === 1 ? 1 : 2);
  }

  /** Called once per turn in which messages settled. */
  turnEnded(): void {
    this.#flush();
    this.resumeIfRoom();
  }

  resumeIfRoom(): void {
    if (this.#pausedAtMs === null || this.#isClosing || !this.#ingest.isRelieved) return;
    if (this.unreadBytes > unreadMaxBytes / 2) return;
    this.#pausedAtMs = null;
    this.#context.paused.delete(this);
    refreshKeepAlive(this.client);
    resumeReading(this.client);
  }

  /**
   * Messages could not become durable: the connection is closed without acknowledgement, at the broker's pace
   * for closes.
   */
  failed(): void {
    if (this.#isClosing || this.client.closed) return;
    // Durable messages are acknowledged all the same, so that the client need not send them again.
    this.#flush();
    this.#close();
    this.stopReading();
    this.#context.pacedCloses.add(() => this.client.close());
  }

  /** The identity was removed: no more messages of it are accepted. */
  revoked(): void {
    this.#close();
    this.client.close();
  }

  /** Always true: the packet is handled. */
  refuse(code: MqttRefusalCode, fields: RefusalFields): true {
    if (this.#isClosing) return true;
    this.#refused(code, fields);
    this.#flush();
    this.#close();
    this.client.close();
    return true;
  }

  /** CONNACK is out: packets that waited after CONNECT are read, unless reading was paused meanwhile. */
  startReading(): void {
    if (this.#pausedAtMs === null) resumeReading(this.client);
  }

  stopReading(): void {
    if (this.#pausedAtMs !== null || this.client.closed) return;
    this.#pausedAtMs = this.#context.now();
    this.#context.paused.add(this);
    pauseReading(this.client);
  }

  /** Called periodically while the session is paused: ends connections that were paused for too long. */
  checkPatience(nowMs: number): void {
    if (this.client.closed || this.#pausedAtMs === null) return;
    const { drainTimeoutMs } = this.#context.config;
    const pausedMs = nowMs - this.#pausedAtMs;
    const patienceMs = this.#patienceMs();
    if (this.#ingest.inFlightCount > 0 && pausedMs > patienceMs && !this.#isClosing) {
      this.#refused("not-durable", { bound: "keepAlive", limit: patienceMs, actual: pausedMs });
      this.failed();
    }
    const { unreadBytes } = this;
    if (unreadBytes > unreadMaxBytes / 2 && pausedMs > drainTimeoutMs)
      this.refuse("slow-subscriber", {
        bound: "drainTimeoutMs",
        limit: drainTimeoutMs,
        actual: pausedMs,
        unreadBytes,
      });
    // The client's PINGREQ cannot be seen while reading is paused.
    refreshKeepAlive(this.client);
  }

  /**
   * Half the keep alive: a paused client gets no answer to its PINGREQ and would end the connection after its
   * own time.
   */
  #patienceMs(): number {
    const intervalMs = this.client._keepaliveInterval;
    return intervalMs > 0 ? intervalMs / 1.5 / 2 : Infinity;
  }

  #accept(packet: PublishPacket, verdict: TelemetryVerdict, contentHash: string): void {
    const { qos } = packet;
    const messageId = packet.messageId ?? 0;
    this.#clearRetain(packet);
    const receivedIds = this.#receivedIds;
    const receipt = qos === 2 ? receivedIds.hold(messageId, contentHash) : null;
    this.#ingest.accept(
      packet,
      verdict,
      messageId * 4 + qos,
      receipt && ((isStored) => receivedIds.settle(receipt, isStored)),
    );
    if (!this.#ingest.hasRoom || this.unreadBytes > unreadMaxBytes) this.stopReading();
  }

  /** Writes the acknowledgements that have become due. */
  #flush(): void {
    const { count } = this.#acknowledgements;
    if (count === 0 || this.client.closed) return;
    this.#acknowledgements.writeTo(this.client.conn);
    this.#ingest.acknowledged(count);
    this.#context.metrics.repeated += this.#repeats;
    this.#repeats = 0;
  }

  /** From now on, no message is accepted or acknowledged. */
  #close(): void {
    this.#isClosing = true;
    this.#ingest.end();
  }

  /** [MQTT-4.3.3-2] The message is not accepted again. PUBREC is sent again once the message is durable. */
  #repeatReceived(messageId: number, state: "held" | "stored"): true {
    refreshKeepAlive(this.client);
    if (state === "stored") {
      this.#repeats += 1;
      this.#acknowledgements.add(messageId, 2);
      queueMicrotask(() => this.turnEnded());
    }
    return true;
  }

  /** A retained telemetry message would be delivered to each new subscriber for ever. */
  #clearRetain(packet: { retain: boolean }): void {
    if (!packet.retain) return;
    packet.retain = false;
    this.#context.metrics.retainCleared += 1;
  }

  #refused(code: MqttRefusalCode, fields: RefusalFields): void {
    this.#context.refuse(code, refusedClientOf(this.client), {
      ...fields,
      identity: this.identity?.name ?? null,
    });
  }
}
