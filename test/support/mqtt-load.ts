import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import mqttPacket, { type Packet } from "mqtt-packet";

export interface LoadOptions {
  readonly port: number;
  readonly connections: number;
  /** Unacknowledged messages per connection. */
  readonly window: number;
  readonly payloadBytes: number;
  readonly warmUpMs: number;
  readonly durationMs: number;
  /** CPU seconds that the server has used so far. */
  readonly serverCpuSeconds?: () => number;
}

export interface LoadResult {
  readonly acknowledged: number;
  readonly messagesPerSecond: number;
  /** The generator's own CPU: a saturated generator measures itself. */
  readonly generatorCpuMicrosPerMessage: number;
  /** CPU of the server during the measurement; null if not readable. */
  readonly serverCpuMicrosPerMessage: number | null;
}

const connectsAtOnce = 100;
const pubackBytes = 4;

/**
 * A closed loop: each connection keeps `window` QoS 1 messages unacknowledged, and sends one for each
 * acknowledgement.
 */
class LoadConnection {
  acknowledged = 0;
  readonly #socket: Socket;
  readonly #packet: Buffer;
  readonly #messageIdAt: number;
  #messageId = 0;
  #pendingBytes = 0;

  private constructor(socket: Socket, topic: string, payloadBytes: number) {
    this.#socket = socket;
    const payload = Buffer.alloc(payloadBytes, "x");
    this.#packet = mqttPacket.generate({
      cmd: "publish",
      topic,
      payload,
      qos: 1,
      messageId: 1,
      dup: false,
      retain: false,
    });
    this.#messageIdAt = this.#packet.length - payloadBytes - 2;
    socket.on("data", (data) => this.#received(data));
    socket.on("error", () => {});
  }

  static async open(port: number, number: number, payloadBytes: number): Promise<LoadConnection> {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    const clientId = `load${number}`;
    const packet = {
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clean: true,
      clientId,
      keepalive: 600,
    };
    socket.write(mqttPacket.generate(packet as Packet));
    await once(socket, "data");
    return new LoadConnection(socket, `fleet/${clientId}/telemetry`, payloadBytes);
  }

  send(count: number): void {
    const { length } = this.#packet;
    const burst = Buffer.allocUnsafe(count * length);
    for (let index = 0; index < count; index++) {
      this.#messageId = (this.#messageId % 65_535) + 1;
      this.#packet.copy(burst, index * length);
      burst.writeUInt16BE(this.#messageId, index * length + this.#messageIdAt);
    }
    this.#socket.write(burst);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** The server answers with PUBACKs only, and they may come in pieces. */
  #received(data: Buffer): void {
    this.#pendingBytes += data.length;
    const count = Math.floor(this.#pendingBytes / pubackBytes);
    this.#pendingBytes -= count * pubackBytes;
    this.acknowledged += count;
    if (count > 0) this.send(count);
  }
}

/** Bounded in connections and time. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { port, connections, window, payloadBytes, warmUpMs, durationMs } = options;
  const clients: LoadConnection[] = [];
  for (let start = 0; start < connections; start += connectsAtOnce) {
    const count = Math.min(connectsAtOnce, connections - start);
    const opening = Array.from({ length: count }, (_, index) =>
      LoadConnection.open(port, start + index, payloadBytes),
    );
    clients.push(...(await Promise.all(opening)));
  }
  const total = () => clients.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
  for (const client of clients) client.send(window);
  await delay(warmUpMs);
  const before = {
    acknowledged: total(),
    cpu: process.cpuUsage(),
    serverCpu: options.serverCpuSeconds?.() ?? 0,
    atMs: performance.now(),
  };
  await delay(durationMs);
  const acknowledged = total() - before.acknowledged;
  const elapsedMs = performance.now() - before.atMs;
  const { user, system } = process.cpuUsage(before.cpu);
  const serverCpu = options.serverCpuSeconds && options.serverCpuSeconds() - before.serverCpu;
  for (const client of clients) client.close();
  return {
    acknowledged,
    messagesPerSecond: Math.round((acknowledged * 1000) / elapsedMs),
    generatorCpuMicrosPerMessage: Number(((user + system) / acknowledged).toFixed(2)),
    serverCpuMicrosPerMessage:
      serverCpu === undefined ? null : Number(((serverCpu * 1e6) / acknowledged).toFixed(2)),
  };
}
