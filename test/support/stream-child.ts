/**
 * A process that has an embedded stream open, for tests that kill, pause and trace it. Usage: node --import
 * tsx test/support/stream-child.ts MODE FOLDER
 * - append: appends without end to all partitions, and trims older blocks. Prints `ack PARTITION NUMBER` once
 *   a block is durable, and `trim PARTITION NUMBER` before a trim.
 * - steps: appends one block for each line on stdin. Prints `ack NUMBER`, or the code of the error.
 * - grow: like steps, with large blocks that make the file grow. Stops itself at its first own write to a
 *   file.
 * - read: reads partition 0 without end. Prints `read NUMBER` for each block.
 * - create: creates the stream, and stops itself at its first own change of a file. Prints `created ID` or
 *   `failed`.
 * - hold: takes a snapshot as a reader that breaks the rules would, prints `holding`, and keeps the snapshot.
 */
import { writeSync } from "node:fs";
import { createInterface } from "node:readline";
import { BridgeError } from "../../bridge/errors.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openStreamDatabase } from "../../bridge/streams/embedded/stream-file.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { stateKey } from "../../bridge/streams/embedded/stream-records.ts";
import { type StreamLog, startPosition } from "../../bridge/streams/stream-log.ts";
import { bigCheckedBlock, checkedBlock } from "./checked-block.ts";
import { stopAtRawWrite } from "./stop-at-raw-write.ts";

const maxBytes = 256 * 1024 * 1024;
const keptBlocks = 150;
const [, , mode = "", folder = ""] = process.argv;

function say(line: string): void {
  writeSync(1, `${line}\n`);
}

async function openForAppend(): Promise<StreamLog> {
  return await openEmbeddedStream({
    folder,
    mode: "append",
    maxBytes,
    reserveBytes: 0,
    onFatal: (error) => say(`fatal ${error.code}`),
  });
}

async function appendWithoutEnd(): Promise<void> {
  const stream = await openForAppend();
  const lanes = stream.partitions.all.map(async ({ partition }) => {
    for (;;) {
      const next = Number((await stream.partitionState(partition)).highest) + 1;
      const position = await stream.append(partition, checkedBlock(partition, next));
      say(`ack ${partition} ${Number(position)}`);
      if (next % 50 !== 0 || next <= keptBlocks) continue;
      say(`trim ${partition} ${next - keptBlocks}`);
      await stream.trim(partition, String(next - keptBlocks).padStart(20, "0"));
    }
  });
  await Promise.all(lanes);
}

async function appendPerLine(blockOf: typeof checkedBlock): Promise<void> {
  const stream = await openForAppend();
  if (blockOf === bigCheckedBlock) await stopAtRawWrite();
  say("ready");
  for await (const _ of createInterface({ input: process.stdin })) {
    try {
      const next = Number((await stream.partitionState(0)).highest) + 1;
      say(`ack ${Number(await stream.append(0, blockOf(0, next)))}`);
    } catch (error) {
      say(error instanceof BridgeError ? error.code : String(error));
    }
  }
}

async function readWithoutEnd(): Promise<void> {
  const stream = await openEmbeddedStream({ folder, mode: "read", maxBytes });
  say("ready");
  let after = startPosition;
  for (;;) {
    const entries = await stream.read(0, after, { maxBytes: 1_000_000, maxEntries: 100 });
    for (const { position } of entries) {
      say(`read ${Number(position)}`);
      after = position;
    }
    if (entries.length === 0) await stream.waitForAppend(1000);
  }
}

async function create(): Promise<void> {
  await stopAtRawWrite();
  const outcome = await createEmbeddedStream({ folder, partitionCount: 1 }).then(
    ({ streamId }) => `created ${streamId}`,
    () => "failed",
  );
  say(outcome);
}

function holdSnapshot(): void {
  const database = openStreamDatabase(folder, { readOnly: true, mapBytes: maxBytes });
  database.useReadTransaction();
  database.getBinary(stateKey(0));
  say("holding");
  setInterval(() => {}, 1000);
}

const modes: Record<string, () => Promise<void> | void> = {
  append: appendWithoutEnd,
  steps: () => appendPerLine(checkedBlock),
  grow: () => appendPerLine(bigCheckedBlock),
  read: readWithoutEnd,
  create,
  hold: holdSnapshot,
};
await modes[mode]?.();
