/**
 * A process that runs the consumer on a pipeline's folder, for tests that kill it. It asks its parent to trim, as only that one appends.
 * Usage: node --import tsx test/support/consumer-child.ts FOLDER
 * Prints `commit NUMBER` after each commit and `trim PARTITION POSITION`.
 */
import { writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openConsumer } from "./embedded-pipeline.ts";

const folder = process.argv[2] ?? "";
const stream = await openEmbeddedStream({
  mode: "read",
  folder: join(folder, "stream"),
  maxBytes: 64 * 1024 * 1024,
});
const consumer = await openConsumer(folder, stream, {
  trim: async (partition, upTo) => {
    writeSync(1, `trim ${partition} ${upTo}\n`);
  },
});
void consumer.run();
for (let told = 0; ; await delay(1)) {
  const number = consumer.status().lastCommit?.number ?? 0;
  if (number === told) continue;
  told = number;
  writeSync(1, `commit ${number}\n`);
}
