import { join } from "node:path";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import { openStreamDatabase } from "../../bridge/streams/embedded/stream-file.ts";
import { createEmbeddedStream } from "../../bridge/streams/embedded/stream-folder.ts";
import { blockKey } from "../../bridge/streams/embedded/stream-records.ts";
import type { Position } from "../../bridge/streams/stream-log.ts";
import { LakePipeline, newLakeFolder } from "./lake-pipeline.ts";

export const pipelinePartitions = 2;
const mib = 1024 * 1024;

/** A pipeline on the embedded stream. */
export class EmbeddedPipeline extends LakePipeline {
  static async open(partitionCount = pipelinePartitions): Promise<EmbeddedPipeline> {
    const folder = await newLakeFolder();
    const streamFolder = join(folder, "stream");
    await createEmbeddedStream({ folder: streamFolder, partitionCount });
    const stream = await openEmbeddedStream({
      mode: "append",
      folder: streamFolder,
      maxBytes: 64 * mib,
      reserveBytes: 0,
      onFatal: (error) => {
        throw error;
      },
    });
    return new EmbeddedPipeline(folder, stream);
  }

  /** Takes one block out of the stream's file. */
  async loseBlock(partition: number, position: Position): Promise<void> {
    const streamFolder = join(this.folder, "stream");
    const database = openStreamDatabase(streamFolder, { readOnly: false, mapBytes: 128 * mib });
    database.removeSync(blockKey(partition, Number(position)));
    await database.close();
  }
}
