import type { Socket } from "node:net";
import {
  type AedesClient,
  forgetConnectPacket,
  guardPacketSize,
  interceptPackets,
  type MqttPacket,
} from "./aedes/aedes-client.ts";
import type { BrokerConfig } from "./config.ts";
import { packetFault } from "./packet-fault.ts";
import type { RefusalReason } from "./refusal.ts";
import type { Session } from "./session.ts";

/** Packets that a client may send behind CONNECT without waiting for CONNACK. */
const EARLY_PACKETS_MAX = 1_000;

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
  readonly #pass: (packet: MqttPacket) => void;
  #early: MqttPacket[] | null = [];
  #hasConnect = false;
  #session: Session | undefined;

  constructor(client: AedesClient, options: ConnectionOptions) {
    this.#client = client;
    this.#options = options;
    const { config } = options;
    guardPacketSize(
      client,
      () => (this.#session ? config.packetMaxBytes : config.connectPacketMaxBytes),
      (bytes) => this.#refuse("packet-too-large", { bytes }),
    );
    this.#pass = interceptPackets(client, {
      take: (packet, parsedBytes) => this.#take(packet, parsedBytes),
      broken: (fault) => {
        if (!client.closed) this.#refuse("malformed", { fault: fault.message });
      },
    });
    client.once("connected", () => this.#connected());
  }

  #take(packet: MqttPacket, parsedBytes: number): void {
    if (this.#client.closed) return;
    if (!this.#hasConnect) {
      this.#takeConnect(packet, parsedBytes);
      return;
    }
    const fault = packetFault(packet, parsedBytes);
    if (fault) this.#refuse("malformed", { packet: packet.cmd, fault });
    else if (this.#session) this.#dispatch(packet, this.#session);
    else if ((this.#early?.length ?? 0) < EARLY_PACKETS_MAX) this.#early?.push(packet);
    else this.#refuse("early-packets", {});
  }

  /** [MQTT-3.1.0-1] CONNECT comes first; nothing of it may be left over. */
  #takeConnect(packet: MqttPacket, parsedBytes: number): void {
    this.#hasConnect = packet.cmd === "connect";
    if (this.#hasConnect && parsedBytes === packet.length) this.#pass(packet);
    else this.#refuse("malformed", { packet: packet.cmd });
  }

  #connected(): void {
    this.#session = this.#options.session(this.#client);
    this.#session?.begin();
    forgetConnectPacket(this.#client);
    const early = this.#early ?? [];
    this.#early = null;
    for (const packet of early)
      if (this.#session && !this.#client.closed) this.#dispatch(packet, this.#session);
  }

  #dispatch(packet: MqttPacket, session: Session): void {
    switch (packet.cmd) {
      case "publish":
        if (session.takePublish(packet)) return;
        break;
      case "pubrel":
        if (session.takePubrel(packet.messageId)) return;
        break;
      case "subscribe":
        // Granted QoS 1 at most [MQTT-3.9.3]: outbound QoS 2 of the in-memory sessions is not reliable.
        for (const subscription of packet.subscriptions) subscription.qos = Math.min(subscription.qos, 1);
        break;
      default:
        break;
    }
    this.#pass(packet);
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
