import type { Socket } from "node:net";
import { parseSubscriptionFilter } from "../devices/protocol/topic-filter.ts";
import {
  type AedesClient,
  forgetConnectPacket,
  guardPacketSize,
  interceptPackets,
  type MqttPacket,
} from "./aedes/aedes-client.ts";
import type { BrokerConfig } from "./config.ts";
import type { RefusalReason } from "./refusal.ts";
import type { Session } from "./session.ts";

/** Packets that a client may send behind CONNECT without waiting for CONNACK. */
const EARLY_PACKETS_MAX = 1_000;

interface SubscribePacket {
  readonly cmd: "subscribe";
  readonly subscriptions: { readonly topic: string; qos: number }[];
}

export interface ConnectionOptions {
  readonly config: BrokerConfig;
  readonly session: (client: AedesClient) => Session | undefined;
  readonly refuse: (client: AedesClient, reason: RefusalReason, fields: Record<string, unknown>) => void;
}

/**
 * Stands between a client's parser and Aedes: telemetry goes to the session, everything else to Aedes. Packets that come before CONNACK
 * wait here, so that Aedes' own publish path, which acknowledges before anything is stored, never sees a telemetry message.
 */
export class Connection {
  readonly #client: AedesClient;
  readonly #options: ConnectionOptions;
  #early: MqttPacket[] | null = [];
  #hasConnect = false;
  #session: Session | undefined;
  #pass: (packet: MqttPacket) => void = () => {};

  constructor(client: AedesClient, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    const { config } = options;
    guardPacketSize(
      client,
      () => (this.#session ? config.packetMaxBytes : config.connectPacketMaxBytes),
      (bytes) => this.#refuse("packet-too-large", { bytes }),
    );
    interceptPackets(client, (packet, pass) => {
      this.#pass = pass;
      this.#take(packet);
    });
    client.once("connected", () => this.#connected());
  }

  #take(packet: MqttPacket): void {
    if (this.#client.closed) return;
    if (this.#session) this.#dispatch(packet, this.#session);
    else if (!this.#hasConnect) {
      this.#hasConnect = packet.cmd === "connect";
      this.#pass(packet);
    } else if ((this.#early?.length ?? 0) < EARLY_PACKETS_MAX) this.#early?.push(packet);
    else this.#refuse("early-packets", {});
  }

  #connected(): void {
    this.#session = this.#options.session(this.#client);
    forgetConnectPacket(this.#client);
    const early = this.#early ?? [];
    this.#early = null;
    for (const packet of early) this.#take(packet);
  }

  #dispatch(packet: MqttPacket | SubscribePacket, session: Session): void {
    switch (packet.cmd) {
      case "publish":
        if (session.takePublish(packet)) return;
        break;
      case "pubrel":
        if (session.takePubrel(packet.messageId)) return;
        break;
      case "subscribe":
        if (!this.#checkSubscribe(packet)) return;
        break;
      default:
        break;
    }
    this.#pass(packet as MqttPacket);
  }

  /** Subscriptions are granted QoS 1 at most [MQTT-3.9.3]: outbound QoS 2 of the in-memory sessions is not reliable. */
  #checkSubscribe({ subscriptions }: SubscribePacket): boolean {
    for (const subscription of subscriptions) {
      try {
        parseSubscriptionFilter(subscription.topic);
      } catch {
        this.#refuse("malformed", { filter: subscription.topic });
        return false;
      }
      subscription.qos = Math.min(subscription.qos, 1);
    }
    return true;
  }

  #refuse(reason: RefusalReason, fields: Record<string, unknown>): void {
    this.#options.refuse(this.#client, reason, fields);
  }
}

/** Answers a CONNECT that is refused and closes the connection once the answer is out. */
export function endWith(socket: Socket, connack: Buffer | null, then: () => void): void {
  if (connack === null || socket.destroyed) then();
  else socket.write(connack, () => setImmediate(then));
}
