/**
 * Only the broker, for benches, with a sink that makes messages durable at the end of the turn. Prints its
 * port.
 */
import { Value } from "@sinclair/typebox/value";
import pino from "pino";
import { Registry } from "prom-client";
import { brokerConfigSchema, createBroker, createIngest } from "../../broker/index.ts";
import { TestDevices, TestTopics } from "./test-broker.ts";

let waiting: ((error?: Error) => void)[] = [];

function settleAll(): void {
  const settled = waiting;
  waiting = [];
  for (const settle of settled) settle();
}

const config = { ...Value.Create(brokerConfigSchema), port: 0 };
const registry = new Registry();
const ingest = createIngest({
  config,
  sink: {
    isFull: false,
    onDrain: () => {},
    accept: (_, settled) => {
      if (waiting.length === 0) setImmediate(settleAll);
      waiting.push(settled);
    },
  },
  topics: new TestTopics(),
  devices: new TestDevices(),
  logger: pino({ level: "silent" }),
  registry,
});
const broker = createBroker({ config, ingest, registry });
const { port } = await broker.listen();
process.stdout.write(`${port}\n`);
process.on("disconnect", () => process.exit(0));
