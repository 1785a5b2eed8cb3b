import type { GatewayStatus } from "../../gateway/status/gateway-status.ts";
import type { GatewayProcess } from "./gateway-process.ts";
import { connectClient, type DemoMessage, publishDemo } from "./mqtt-publisher.ts";
import { streamMembers } from "./stream-members.ts";

/** The output of `tidegate status --json`. */
export async function statusOf(gateway: GatewayProcess): Promise<GatewayStatus> {
  return (await gateway.api("GET", "/v1/status")).body as unknown as GatewayStatus;
}

/** Ids in the demo topic's table, sorted, with repetitions. */
export async function storedIds(gateway: GatewayProcess): Promise<string[]> {
  const rows = await gateway.query("SELECT decode(message_id) AS id FROM telemetry ORDER BY id");
  return rows.map((row) => String(row["id"]));
}

/** Publishes on the demo topic over a connection of its own; resolves once all are acknowledged. */
export async function publishAll(gateway: GatewayProcess, messages: readonly DemoMessage[]): Promise<void> {
  const client = await connectClient(gateway.mqttUrl);
  await publishDemo(client, messages);
  await client.endAsync();
}

/** Resolves once all acknowledged messages are committed and trimmed. */
export async function untilFiledAndTrimmed(gateway: GatewayProcess): Promise<void> {
  await gateway.until("the stream is empty", async () => {
    const { broker, consumer } = await statusOf(gateway);
    const isRead = consumer?.partitions.every(({ lagBytes, openBytes }) => (lagBytes ?? 0) + openBytes === 0);
    return isRead === true && streamMembers(broker).space?.retainedBytes === 0;
  });
}

/** Resolves once the status says that it is not ready, with the reasons. */
export async function untilRefused(gateway: GatewayProcess): Promise<string> {
  let reasons: readonly string[] = [];
  await gateway.until("a refusal is in the status", async () => {
    reasons = (await statusOf(gateway)).reasons;
    return reasons.some((reason) => /: [A-Z]+_[A-Z_]+: /.test(reason));
  });
  return reasons.join("\n");
}
