import mqtt, { type IClientOptions, type MqttClient } from "mqtt";
import { longestWaitMs } from "./until.ts";

/** A connected MQTT client that does not reconnect, so that a test sees the end of its connection. */
export async function connectClient(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  return await mqtt.connectAsync(
    url,
    { reconnectPeriod: 0, connectTimeout: longestWaitMs, ...options },
    false,
  );
}

/** Resolves when the connection ends. */
export function closed(client: MqttClient): Promise<void> {
  return new Promise((resolve) => {
    client.once("close", () => resolve());
  });
}

export interface DemoMessage {
  readonly device: string;
  readonly id: string;
  readonly temperature?: number;
}

/** One event time for all: the same id with another payload is no resend. */
const eventTimeMs = Date.now();

/**
 * Publishes on the demo topic with QoS 1; resolves when all are acknowledged. Equal arguments make equal
 * payloads.
 */
export async function publishDemo(client: MqttClient, messages: readonly DemoMessage[]): Promise<void> {
  const acknowledged = Promise.all(
    messages.map(({ device, id, temperature = 21.5 }) =>
      client.publishAsync(`fleet/${device}/telemetry`, JSON.stringify({ id, ts: eventTimeMs, temperature }), {
        qos: 1,
      }),
    ),
  );
  const lost = closed(client).then(() =>
    Promise.reject(new Error("the connection closed before all was acknowledged")),
  );
  await Promise.race([acknowledged, lost]);
  lost.catch(() => {});
}
