import { open, readFile, rename } from "node:fs/promises";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Logger } from "pino";
import { BridgeError } from "../errors.ts";
import type { StreamLog } from "./stream-log.ts";

const markSchema = Type.Object({ streamId: Type.String(), highest: Type.Array(Type.String()) });
type Mark = Readonly<Static<typeof markSchema>>;

type MarkedStream = Pick<StreamLog, "streamId" | "partitionCount" | "partitionState" | "comparePositions">;

export interface StreamMark {
  /** Writes the last mark and ends. */
  stop(): Promise<void>;
}

/**
 * Compares a stream with how far it was when it was last marked, in a file that does not lie with it. Finds a stream that was restored
 * from a copy that the lake alone can't tell from the newest one: everything committed is in it, and what was acknowledged since is not.
 * @throws BridgeError STREAM_GAP
 */
export async function checkStreamMark(file: string, stream: MarkedStream): Promise<void> {
  const mark = await readMark(file);
  if (mark?.streamId !== stream.streamId) return;
  for (const [partition, marked] of mark.highest.entries()) {
    if (partition >= stream.partitionCount) return;
    const { highest } = await stream.partitionState(partition);
    if (stream.comparePositions(highest, marked) >= 0) continue;
    throw new BridgeError(
      "STREAM_GAP",
      `partition ${partition} of the stream went up to ${marked} when this gateway last saw it, and ends at "${highest}" now: it was restored from an older copy. Restore the newest one, or give up what is missing and start a new stream id with \`tidegate stream new\``,
      { retryable: false },
    );
  }
}

/** Marks every `intervalMs` how far the stream is. A mark that can't be written is tried again; it only makes a later check coarser. */
export function keepStreamMark(options: {
  readonly file: string;
  readonly stream: MarkedStream;
  readonly intervalMs: number;
  readonly logger: Logger;
}): StreamMark {
  const { file, stream, intervalMs, logger } = options;
  let written = "";
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    last = last.then(mark);
  }, intervalMs);
  timer.unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await last.then(mark);
    },
  };

  async function mark(): Promise<void> {
    try {
      const text = JSON.stringify(await markOf(stream));
      if (text === written) return;
      await replaceFile(file, text);
      written = text;
    } catch (error) {
      logger.warn({ event: "stream.mark.failed", err: error }, "how far the stream is was not marked");
    }
  }
}

async function markOf(stream: MarkedStream): Promise<Mark> {
  const highest: string[] = [];
  for (let partition = 0; partition < stream.partitionCount; partition++)
    highest.push((await stream.partitionState(partition)).highest);
  return { streamId: stream.streamId, highest };
}

/** null where there is none that can be read: it is a check more, not a record. */
async function readMark(file: string): Promise<Mark | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return Value.Check(markSchema, value) ? value : null;
  } catch {
    return null;
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const handle = await open(`${file}.new`, "w");
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
}
