// Publishes one reading a second, also while the gateway is down. Stop it, kill it or pull the cable: after a
// restart it continues where it stopped.
//   node dist/devices/examples/publish-telemetry.js [--url mqtt://127.0.0.1:1883] [--device example-1]
//     [--topic fleet/{device}/envelope] [--format envelope|json] [--count 10] [--interval-ms 1000]
//     [--outbox ./example-outbox] [--username U --password-file P]
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { DeviceClient } from "../index.ts";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "mqtt://127.0.0.1:1883" },
    device: { type: "string", default: "example-1" },
    topic: { type: "string", default: "fleet/{device}/envelope" },
    format: { type: "string", default: "envelope" },
    count: { type: "string", default: "10" },
    "interval-ms": { type: "string", default: "1000" },
    outbox: { type: "string", default: "./example-outbox" },
    username: { type: "string" },
    "password-file": { type: "string" },
  },
});

const print = (text: string) => process.stdout.write(`${text}\n`);
const passwordFile = values["password-file"];
const client = await DeviceClient.open({
  url: values.url,
  clientId: values.device,
  ...(values.username === undefined ? {} : { username: values.username }),
  ...(passwordFile === undefined ? {} : { password: readFileSync(passwordFile, "utf8").trim() }),
  format: values.format === "json" ? "json" : "envelope",
  outbox: { folder: values.outbox },
});
client.on("connected", () => print(`connected to ${values.url}`));
client.on("disconnected", ({ error, nextAttemptMs }) =>
  print(`${error.message}; next attempt in ${nextAttemptMs} ms`),
);
client.on("rejected", ({ id, topic }) =>
  print(`the gateway refuses ${id} on ${topic}: does this topic exist?`),
);
client.on("warning", (error) => print(`${error.code}: ${error.message}`));
client.on("failed", (error) => print(`${error.code}: ${error.message}`));
if (client.status.messages > 0) print(`${client.status.messages} messages of the last run are waiting`);

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());

const topic = values.topic.replace("{device}", values.device);
let temperature = 20;
for (let index = 0; index < Number(values.count) && !stop.signal.aborted; index += 1) {
  temperature += Math.random() - 0.5;
  const reading = { temperature: Number(temperature.toFixed(2)), humidity: 40 + (index % 20) };
  const { id, acknowledged } = await client.publish(topic, reading);
  print(`${id} is in the outbox: ${JSON.stringify(reading)}`);
  acknowledged.then(
    () => print(`${id} is acknowledged`),
    (error: Error) => print(`${id}: ${error.message}`),
  );
  await sleep(Number(values["interval-ms"]), undefined, { signal: stop.signal }).catch(() => undefined);
}

const { remaining } = await client.close();
print(
  remaining === 0
    ? "everything is acknowledged"
    : `${remaining} messages stay in ${values.outbox} for the next run`,
);
