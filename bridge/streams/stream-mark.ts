import { open, readFile, rename } from "node:fs/promises";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Logger } from "pino";
import { BridgeError } from "../errors.ts";
import type { FixedStreamLog, Position } from "./stream-log.ts";

const markSchema = Type.Object({ streamId: Type.String(), highest: Type.Array(Type.String()) });

/**
 * How far a stream was when it was last seen, by partition; kept in a file that does not lie with it. It finds a stream that was restored
 * from a copy which the lake alone can't tell from the newest one: all that is committed is in it, and what was acknowledged since is not.
 */
export type StreamMark = Readonly<Static<typeof markSchema>>;

/** null where there is none that can be read: it is a check more, not a record. */
export async function readStreamMark(file: string): Promise<StreamMark | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return Value.Check(markSchema, value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * For streams that have no check of their own.
 * @throws BridgeError STREAM_GAP
 */
export async function checkStreamMark(
  mark: StreamMark | null,
  stream: Pick<FixedStreamLog, "streamId" | "partitionCount" | "partitionState" | "comparePositions">,
): Promise<void> {
  if (mark?.streamId !== stream.streamId) return;
  for (const [partition, marked] of mark.highest.slice(0, stream.partitionCount).entries()) {
    const { highest } = await stream.partitionState(partition);
    if (stream.comparePositions(highest, marked) >= 0) continue;
    throw new BridgeError(
      "STREAM_GAP",
      `partition ${partition} of the stream went up to ${marked} when this gateway last saw it, and ends at "${highest}" now: it was restored from an older copy. Restore the newest one, or give up what is missing and start a new stream id with \`tidegate stream new\``,
      { retryable: false },
    );
  }
}

/**
 * Marks every `intervalMs` how far the stream is. A mark that can't be written is tried again; it only makes a later check coarser.
 * The answer's `stop` writes the last one.
 */
export function keepStreamMark(options: {
  readonly file: string;
  readonly streamId: string;
  /** By partition, what the stream holds for sure. */
  readonly highest: () => Promise<readonly Position[]>;
  readonly intervalMs: number;
  readonly logger: Logger;
}): { stop(): Promise<void> } {
  const { file, streamId, highest, intervalMs, logger } = options;
  let written = "";
  let last: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    last = last.then(mark);
  }, intervalMs).unref();
  return {
    stop: async () => {
      clearInterval(timer);
      await last.then(mark);
    },
  };

  async function mark(): Promise<void> {
    try {
      const text = JSON.stringify({ streamId, highest: [...(await highest())] } satisfies StreamMark);
      if (text === written) return;
      await replaceFile(file, text);
      written = text;
    } catch (error) {
      logger.warn({ event: "stream.mark.failed", err: error }, "how far the stream is was not marked");
    }
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
