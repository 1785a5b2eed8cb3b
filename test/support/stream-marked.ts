import { join } from "node:path";
import { readStreamMarks } from "../../bridge/streams/index.ts";
import { type FixedStreamLog, startPosition } from "../../bridge/streams/stream-log.ts";
import { markOfStream } from "../../bridge/streams/stream-mark.ts";

type Stream = Pick<FixedStreamLog, "streamId" | "partitionCount" | "partitionState" | "comparePositions">;

/** True if the marks in a data folder have the current highest position of every partition. */
export async function isMarked(dataFolder: string, stream: Stream): Promise<boolean> {
  const mark = markOfStream(await readStreamMarks(join(dataFolder, "stream-mark.json")), stream);
  for (let partition = 0; partition < stream.partitionCount; partition++) {
    const { highest } = await stream.partitionState(partition);
    if (stream.comparePositions(mark?.highest[partition] ?? startPosition, highest) < 0) return false;
  }
  return true;
}
