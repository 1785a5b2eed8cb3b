// Publishes as fast as the outbox accepts, and writes "<id> <text> ." for each resolved publish, until it is
// killed.
import { DeviceClient, DeviceError } from "../../../devices/index.ts";

// Ends with the process that started it.
process.stdin.resume().on("end", () => process.exit(1));

const [url = "", folder = "", name = ""] = process.argv.slice(2);
const client = await DeviceClient.open({
  url,
  clientId: "killed",
  outbox: { folder, maxBytes: 262_144 },
  reconnect: { baseMs: 5, maxMs: 20 },
});

async function publishForEver(lane: number): Promise<void> {
  for (let index = 1; ; index += 1) {
    const text = `${name}.${lane}.${index}`;
    try {
      const { id } = await client.publish("fleet/killed/telemetry", text);
      process.stdout.write(`${id} ${text} .\n`);
    } catch (error) {
      if (!(error instanceof DeviceError && error.retryable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

await Promise.all([1, 2, 3, 4].map(publishForEver));
