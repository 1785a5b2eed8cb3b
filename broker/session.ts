import { AcknowledgementBuffer, writePubcomp } from "./acknowledgement-writer.ts";
import {
  type AedesClient,
  type PublishPacket,
  pauseReading,
  refreshKeepAlive,
  resumeReading,
} from "./aedes/aedes-client.ts";
import type { Identity } from "./device-registry.ts";
import { type HeldMessage, InFlight } from "./in-flight.ts";
import type { Ingress, Verdict } from "./ingress.ts";
import type { ReceivedIds } from "./received-ids.ts";
import type { RefusalReason } from "./refusal.ts";
import type { SessionContext } from "./session-context.ts";
import type { TopicRule } from "./topic-registry.ts";

/** One connection after CONNECT: takes its telemetry, holds it until it is durable, acknowledges it in order. */
export class Session {
  readonly client: AedesClient;
  readonly identity: Identity | null;
  readonly #context: SessionContext;
  readonly #ingress: Ingress;
  readonly #receivedIds: ReceivedIds;
  readonly #inFlight = new InFlight();
  readonly #acknowledgements = new AcknowledgementBuffer();
  #isPaused = false;
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

  /** Longest time that a message may be held: half the keep alive, in which the client waits for an answer to its PINGREQ. */
  get holdMaxMs(): number {
    const keepAliveMs = this.client._keepaliveInterval > 0 ? this.client._keepaliveInterval / 1.5 : Infinity;
    return Math.min(this.#context.config.holdMaxMs, keepAliveMs / 2);
  }

  get oldestAtMs(): number | null {
    return this.#inFlight.oldestAtMs;
  }

  get writableBytes(): number {
    return this.client.conn.writableLength;
  }

  /** True where it was telemetry, or refused; false: it is Aedes' to handle. */
  takePublish(packet: PublishPacket): boolean {
    if (this.#isClosing) return true;
    const fault = publishFault(packet);
    if (fault) return this.refuse(fault, { topic: packet.topic });
    const nowMs = this.#context.now();
    const known = packet.qos === 2 ? this.#receivedIds.state(packet.messageId as number) : undefined;
    if (known !== undefined) return this.#repeatReceived(packet.messageId as number, known);
    const verdict = this.#ingress.judge(packet, nowMs);
    if (verdict.kind === "plain") return false;
    if (verdict.kind === "refused") return this.refuse(verdict.reason, { topic: packet.topic });
    refreshKeepAlive(this.client);
    this.#hold(packet, verdict, nowMs);
    return true;
  }

  /** A will, at the end of its connection: filed like a message, acknowledged by nobody. */
  takeWill(packet: PublishPacket, done: (error?: Error) => void): Verdict["kind"] {
    const verdict = this.#ingress.judge(packet, this.#context.now());
    if (verdict.kind === "refused") this.#refused(verdict.reason, { topic: packet.topic, will: true });
    if (verdict.kind !== "telemetry") return verdict.kind;
    this.#context.metrics.wills += 1;
    this.#clearRetain(packet);
    this.#context.sink.accept(ingressPublish(packet, verdict), done);
    return "telemetry";
  }

  /** True where the identifier was one of telemetry. */
  takePubrel(messageId: number): boolean {
    if (this.#receivedIds.state(messageId) !== "stored") return false;
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
  }

  resumeIfRoom(): void {
    const { config, sink } = this.#context;
    const { count, bytes } = this.#inFlight;
    if (!this.#isPaused || sink.isFull) return;
    if (count > config.inFlightMax / 2 || bytes > config.inFlightMaxBytes / 2) return;
    this.#isPaused = false;
    this.#context.paused.delete(this);
    refreshKeepAlive(this.client);
    resumeReading(this.client);
  }

  /** Its messages could not be made durable: closed without acknowledgement, at the pace that the broker allows. */
  giveUp(): void {
    if (this.#isClosing || this.client.closed) return;
    this.#isClosing = true;
    this.#refused("not-durable", {});
    this.#context.pacedCloses.add(() => this.client.close());
  }

  /** Always true: the packet is dealt with. */
  refuse(reason: RefusalReason, fields: Readonly<Record<string, unknown>>): true {
    this.#refused(reason, fields);
    this.#isClosing = true;
    // What is durable by now is acknowledged all the same: it need not come again.
    this.flush();
    this.client.close();
    return true;
  }

  stopReading(): void {
    if (this.#isPaused || this.client.closed) return;
    this.#isPaused = true;
    this.#context.paused.add(this);
    pauseReading(this.client);
  }

  keepAlive(): void {
    refreshKeepAlive(this.client);
  }

  #hold(packet: PublishPacket, verdict: Verdict & { kind: "telemetry" }, nowMs: number): void {
    const context = this.#context;
    const { qos } = packet;
    context.metrics.received[`qos${qos}`] += 1;
    this.#clearRetain(packet);
    if (qos === 2) this.#receivedIds.hold(packet.messageId as number);
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
      this.#settled(held, error);
    });
    const { config, sink } = context;
    const isFull =
      this.#inFlight.count >= config.inFlightMax || this.#inFlight.bytes >= config.inFlightMaxBytes;
    if (isFull || sink.isFull) this.stopReading();
  }

  #settled(held: HeldMessage, error: Error | undefined): void {
    if (error) {
      if (held.qos === 2) this.#receivedIds.release(held.messageId);
      // QoS 0 promises nothing; the sink has counted the drop.
      if (held.qos > 0) this.giveUp();
    } else if (held.qos === 2) this.#receivedIds.stored(held.messageId);
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
      this.#acknowledgements.add(messageId, 2);
      this.#context.flushSoon(this);
    }
    return true;
  }

  /** A retained telemetry message would be given to each new subscriber for ever. */
  #clearRetain(packet: PublishPacket): void {
    if (!packet.retain) return;
    packet.retain = false;
    this.#context.metrics.retainCleared += 1;
  }

  #refused(reason: RefusalReason, fields: Readonly<Record<string, unknown>>): void {
    this.#context.refusals.refuse(reason, this.client.id ?? "", {
      ...fields,
      identity: this.identity?.name ?? null,
    });
  }
}

/** What no client may send, and Aedes takes. */
function publishFault(packet: PublishPacket): RefusalReason | null {
  // [MQTT-2.3.1-1] a packet identifier is not 0; [MQTT-3.3.1-2] QoS 0 has no DUP.
  if (packet.qos > 0 ? !packet.messageId : packet.dup) return "malformed";
  return null;
}

function ingressPublish(packet: PublishPacket, verdict: { rule: TopicRule; deviceId: string }) {
  return {
    topicId: verdict.rule.topicId,
    topicVersion: verdict.rule.version,
    topicName: packet.topic,
    deviceId: verdict.deviceId,
    qos: packet.qos,
    payload: packet.payload,
  };
}
