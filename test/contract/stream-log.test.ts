import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openStreamDatabase } from "../../bridge/streams/embedded/stream-file.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { blockKey } from "../../bridge/streams/embedded/stream-records.ts";
import type { StreamLog } from "../../bridge/streams/stream-log.ts";
import { MemoryStream } from "../support/memory-stream.ts";
import { type StreamUnderTest, streamLogContract } from "./stream-log-contract.ts";

async function memory({ partitionCount }: { partitionCount: number }): Promise<StreamUnderTest> {
  let nowMs = 0;
  const stream = new MemoryStream({ partitionCount, now: () => nowMs });
  return {
    open: async () => stream.open(),
    openReader: async () => stream.open(),
    loseEntry: async (partition, position) => stream.loseEntry(partition, position),
    clock: {
      set: (ms) => {
        nowMs = ms;
      },
    },
    destroy: async () => {},
  };
}

async function embedded({ partitionCount }: { partitionCount: number }): Promise<StreamUnderTest> {
  const root = mkdtempSync(join(tmpdir(), "tidegate-stream-"));
  const folder = join(root, "stream");
  const handles: StreamLog[] = [];
  let nowMs = 0;
  await createEmbeddedStream({ folder, partitionCount });
  const keep = <Handle extends StreamLog>(handle: Handle): Handle => {
    handles.push(handle);
    return handle;
  };
  return {
    open: async () =>
      keep(
        await openEmbeddedStream({
          folder,
          mode: "append",
          maxBytes: 64 * 1024 * 1024,
          now: () => nowMs,
          onFatal: (error) => {
            throw error;
          },
        }),
      ),
    openReader: async () =>
      keep(await openEmbeddedStream({ folder, mode: "read", maxBytes: 64 * 1024 * 1024 })),
    loseEntry: async (partition, position) => {
      const database = openStreamDatabase(folder, { readOnly: false, mapBytes: 128 * 1024 * 1024 });
      database.removeSync(blockKey(partition, Number(position)));
      await database.close();
    },
    clock: {
      set: (ms) => {
        nowMs = ms;
      },
    },
    destroy: async () => {
      for (const handle of handles) await handle.close();
      rmSync(root, { recursive: true });
    },
  };
}

streamLogContract("memory", memory);
streamLogContract("embedded", embedded);
