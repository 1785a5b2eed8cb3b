import mqtt, { type IClientOptions, type MqttClient } from "mqtt";

/** A connected MQTT client that does not come back by itself, so that a test sees what happened to it. */
export async function connectClient(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  return await mqtt.connectAsync(url, { reconnectPeriod: 0, connectTimeout: 10_000, ...options }, false);
}

export interface DemoMessage {
  readonly device: string;
  readonly id: string;
  readonly temperature?: number;
}

/** One event time for all: the same id with another payload is no resend. */
const eventTimeMs = Date.now();

/** Publishes on the demo topic with QoS 1; resolves when all are acknowledged. Equal arguments make equal payloads. */
export async function publishDemo(client: MqttClient, messages: readonly DemoMessage[]): Promise<void> {
  await Promise.all(
    messages.map(({ device, id, temperature = 21.5 }) =>
      client.publishAsync(`fleet/${device}/telemetry`, JSON.stringify({ id, ts: eventTimeMs, temperature }), {
        qos: 1,
      }),
    ),
  );
}
