import { join } from "node:path";
import { afterEach, beforeEach } from "node:test";
import {
  DeviceClient,
  type DeviceClientOptions,
  DeviceError,
  type DeviceErrorCode,
} from "../../../devices/index.ts";
import { decodeEnvelope } from "../../../devices/protocol/telemetry-envelope.ts";
import { type ReceivedPublish, TestBroker } from "./test-broker.ts";

export const topic = "fleet/d1/telemetry";

/** A fresh broker for each test of the file. */
export function brokerPerTest(): { readonly current: TestBroker } {
  const holder = { current: new TestBroker() };
  beforeEach(async () => {
    holder.current = await new TestBroker().start();
  });
  afterEach(() => holder.current.stop());
  return holder;
}

export const isError = (code: DeviceErrorCode) => (error: unknown) =>
  error instanceof DeviceError && error.code === code;

/** A client of the broker with its outbox in `<folder>/outbox`, closed without draining at the end. */
export async function withClient(
  broker: TestBroker,
  options: Partial<DeviceClientOptions> & { folder: string },
  use: (client: DeviceClient) => Promise<void>,
): Promise<void> {
  const { folder, ...others } = options;
  const client = await DeviceClient.open({
    url: broker.url,
    clientId: "d1",
    reconnect: { baseMs: 5, maxMs: 20 },
    outbox: { folder: join(folder, "outbox") },
    ...others,
  });
  try {
    await use(client);
  } finally {
    await client.close({ drainTimeoutMs: 0 });
  }
}

/** The content of the envelopes. */
export const texts = (publishes: readonly Pick<ReceivedPublish, "payload">[]) =>
  publishes.map(({ payload }) => Buffer.from(decodeEnvelope(payload).payload).toString());

/** The order of first arrivals. */
export const distinct = (values: readonly string[]) => [...new Set(values)];

export const numbered = (count: number, from = 1) =>
  Array.from({ length: count }, (_, index) => `m${from + index}`);

/** Publishes all at once; resolves, when all are durable, with their acknowledgements. */
export async function publishAll(
  client: DeviceClient,
  payloads: readonly string[],
): Promise<Promise<void>[]> {
  const receipts = await Promise.all(payloads.map((payload) => client.publish(topic, payload)));
  return receipts.map(({ acknowledged }) => acknowledged);
}
