import type { Socket } from "node:net";
import type { BrokerConfig } from "../config.ts";
import type { RefusalFields } from "../ingest/index.ts";
import {
  type AedesClient,
  answeredEvent,
  forgetConnectPacket,
  guardPacketSize,
  holdReading,
  interceptPackets,
  judgedEvent,
  type MqttPacket,
  type PublishPacket,
  parseUnread,
  type Will,
} from "./aedes/aedes-client.ts";
import type { MqttRefusalCode } from "./mqtt-refusals.ts";
import { packetFault } from "./packet-fault.ts";
import type { Session } from "./session.ts";

export interface ConnectionOptions {
  readonly config: BrokerConfig;
  readonly session: (client: AedesClient) => Session | undefined;
  readonly refuse: (client: AedesClient, code: MqttRefusalCode, fields: RefusalFields) => void;
  /** Publishes a will that is not telemetry. */
  readonly publishWill: (will: Will) => void;
  /**
   * Receives a PUBLISH that was read and not accepted, because its connection has ended or is being ended.
   */
  readonly leave: (client: AedesClient, packet: PublishPacket) => void;
}

/**
 * Stands between a client's parser and Aedes: telemetry goes to the session, everything else to Aedes.
 *
 * No packet after CONNECT is read before CONNACK is out. So Aedes' own publish path, which acknowledges
 * before anything is stored, never sees a telemetry message. Packets of a client that has left by then are
 * still handled.
 */
export class Connection {
  readonly #client: AedesClient;
  readonly #options: ConnectionOptions;
  readonly #pass: (packet: MqttPacket) => void;
  #hasConnect = false;
  #readOn: (() => void) | null = null;
  #session: Session | undefined;
  #will: Will | undefined;
  /** The answer to CONNECT is known. */
  #isJudged = false;
  #hasEnded = false;
  /**
   * The peer ended the connection before CONNACK was out. Its packets are handled after its identity is
   * confirmed.
   */
  #isOrphan = false;
  /** DISCONNECT came: no packet may follow [MQTT-3.14.4-2]. */
  #isDisconnected = false;
  /** From here on, the beginning of packets cannot be found. */
  #isUnreadable = false;

  constructor(client: AedesClient, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    guardPacketSize(
      client,
      (command) => this.#packetMaxBytes(command),
      (bytes, limit) => {
        this.#isUnreadable = true;
        this.#refuse("packet-too-large", { limit, actual: bytes });
      },
    );
    this.#pass = interceptPackets(client, {
      take: (packet, parsedBytes) => this.#take(packet, parsedBytes),
      broken: (fault) => {
        this.#isUnreadable = true;
        if (!client.closed) this.#refuse("malformed", { fault: fault.message });
      },
    });
    client.once("connected", () => this.#connected());
    client.once(judgedEvent, () => {
      this.#isJudged = true;
      if (this.#isOrphan) this.#takeOrphan();
    });
    // Before Aedes receives this event and closes the client.
    const ended = () => this.#endedByPeer();
    client.conn.prependListener("end", ended);
    client.conn.prependListener("error", ended);
    // Packets that were read before the end are counted, whatever ended the connection.
    client.conn.on("close", () => {
      if (!this.#isOrphan) this.#parseUnread();
    });
  }

  #packetMaxBytes(command: MqttPacket["cmd"] | undefined): number {
    const { packetMaxBytes, connectPacketMaxBytes, subscribePacketMaxBytes } = this.#options.config;
    if (!this.#hasConnect) return connectPacketMaxBytes;
    const isAboutFilters = command === "subscribe" || command === "unsubscribe";
    return isAboutFilters ? subscribePacketMaxBytes : packetMaxBytes;
  }

  #take(packet: MqttPacket, parsedBytes: number): void {
    if ((this.#client.closed && !this.#isOrphan) || this.#isDisconnected) {
      this.#leave(packet);
      return;
    }
    const bytes = packet.length ?? 0;
    const limit = this.#packetMaxBytes(packet.cmd);
    if (bytes > limit) {
      this.#refuse("packet-too-large", { packet: packet.cmd, limit, actual: bytes });
      return;
    }
    if (!this.#hasConnect) {
      this.#takeConnect(packet, parsedBytes);
      return;
    }
    const fault = packetFault(packet, parsedBytes);
    if (fault) this.#refuse("malformed", { packet: packet.cmd, fault });
    else if (this.#session) this.#dispatch(packet, this.#session);
    else this.#leave(packet);
  }

  /** [MQTT-3.1.0-1] CONNECT comes first; none of its bytes may be left over. */
  #takeConnect(packet: MqttPacket, parsedBytes: number): void {
    if (packet.cmd !== "connect" || parsedBytes !== packet.length) {
      this.#refuse("malformed", { packet: packet.cmd });
      return;
    }
    this.#hasConnect = true;
    this.#will = packet.will;
    this.#readOn = holdReading(this.#client);
    this.#pass(packet);
  }

  #connected(): void {
    this.#session = this.#options.session(this.#client);
    this.#session?.begin();
    this.#will = undefined;
    forgetConnectPacket(this.#client);
    this.#readOn?.();
    this.#readOn = null;
    this.#session?.startReading();
  }

  /** Packets that were read before are handled, although no acknowledgement can reach the client. */
  #endedByPeer(): void {
    this.#hasEnded = true;
    if (this.#session) {
      this.#parseUnread();
      return;
    }
    this.#isOrphan = this.#hasConnect && !this.#client.closed;
    if (this.#isJudged) this.#takeOrphan();
  }

  /** Aedes does the rest if it already holds the will. */
  #takeOrphan(): void {
    const isWillKept = this.#client.will !== null;
    this.#session = this.#options.session(this.#client);
    this.#parseUnread();
    this.#isOrphan = false;
    const isWillDue = this.#session && this.#will && !isWillKept && !this.#isDisconnected;
    if (isWillDue && this.#will && this.#session?.takeWill(this.#will) === "plain")
      this.#options.publishWill(this.#will);
  }

  #parseUnread(): void {
    if (this.#hasConnect && !this.#isUnreadable) parseUnread(this.#client);
  }

  #dispatch(packet: MqttPacket, session: Session): void {
    switch (packet.cmd) {
      case "publish":
        if (this.#takePublish(packet, session)) return;
        break;
      case "pubrel":
        if (session.takePubrel(packet.messageId)) return;
        break;
      case "subscribe":
        // Granted QoS 1 at most [MQTT-3.9.3]: outbound QoS 2 of the in-memory sessions is not reliable.
        for (const subscription of packet.subscriptions) subscription.qos = Math.min(subscription.qos, 1);
        this.#passAlone(packet, session);
        return;
      case "unsubscribe":
        this.#passAlone(packet, session);
        return;
      case "disconnect":
        this.#isDisconnected = true;
        this.#client._disconnected = true;
        break;
      default:
        break;
    }
    // Aedes accepts no packet from a client that left before CONNACK.
    if (this.#client.connected) this.#pass(packet);
  }

  /**
   * One SUBSCRIBE or UNSUBSCRIBE at a time, and one in a turn of the event loop: a client that sends
   * thousands takes turns with the others.
   *
   * Also, if a filter is requested while it is being removed, Aedes grants it and then does not keep it. A
   * client that has left changes nothing, because no answer reaches it.
   */
  #passAlone(packet: MqttPacket, session: Session): void {
    if (this.#hasEnded || !this.#client.connected) return;
    const readOn = holdReading(this.#client);
    this.#client.once(answeredEvent, () =>
      setImmediate(() => {
        readOn();
        session.startReading();
      }),
    );
    this.#pass(packet);
  }

  /** False: Aedes must handle the packet. */
  #takePublish(packet: PublishPacket, session: Session): boolean {
    if (!session.isClosing) {
      if (session.takePublish(packet)) return true;
      if (this.#client.connected) return false;
    }
    this.#leave(packet);
    return true;
  }

  /** The connection has ended, or is being ended: the packet is not accepted. */
  #leave(packet: MqttPacket): void {
    if (packet.cmd === "publish") this.#options.leave(this.#client, packet);
  }

  #refuse(code: MqttRefusalCode, fields: RefusalFields): void {
    this.#isOrphan = false;
    this.#options.refuse(this.#client, code, fields);
  }
}

/** Answers a refused CONNECT and closes the connection once the answer is out. */
export function endWith(socket: Socket, connack: Buffer | null, then: () => void): void {
  if (connack === null || socket.destroyed) then();
  else socket.write(connack, () => setImmediate(then));
}
