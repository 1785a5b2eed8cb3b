import { join } from "node:path";
import { readStreamMarks } from "../../bridge/index.ts";
import { type FixedStreamLog, START_POSITION } from "../../bridge/streams/stream-log.ts";
import { markOfStream } from "../../bridge/streams/stream-mark.ts";

type Stream = Pick<FixedStreamLog, "streamId" | "partitionCount" | "partitionState" | "comparePositions">;

/** Whether the marks in a data folder say of every partition that it goes as far as it goes now. */
export async function isMarked(dataFolder: string, stream: Stream): Promise<boolean> {
  const mark = markOfStream(await readStreamMarks(join(dataFolder, "stream-mark.json")), stream);
  for (let partition = 0; partition < stream.partitionCount; partition++) {
    const { highest } = await stream.partitionState(partition);
    if (stream.comparePositions(mark?.highest[partition] ?? START_POSITION, highest) < 0) return false;
  }
  return true;
}
