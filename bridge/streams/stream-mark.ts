import { randomUUID } from "node:crypto";
import { open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join, parse } from "node:path";
import { type Static, Type } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import type { Logger } from "pino";
import { BridgeError } from "../errors.ts";
import type { FixedStreamLog, Position } from "./stream-log.ts";

const draftSuffix = ".new";
const markSchema = Type.Object({ streamId: Type.String(), highest: Type.Array(Type.String()) });

/**
 * The highest positions at which this gateway last saw a stream, by partition, in a file outside of the
 * stream. The mark detects a stream that was restored from an older copy. The lake can't detect that if the
 * copy holds all committed blocks but lacks blocks acknowledged later.
 */
export type StreamMark = Readonly<Static<typeof markSchema>>;

type MarkedStream = Pick<FixedStreamLog, "streamId" | "comparePositions">;

/**
 * Reads the marks of all writers. For `mark.json`, each writer has a file `mark.ID.json`. A stream never
 * goes back, so all marks are valid, also those of a writer that was paused while another took over.
 * Unreadable marks are ignored: a mark is only an additional check.
 */
export async function readStreamMarks(file: string): Promise<StreamMark[]> {
  const files = await markFiles(file).catch(() => []);
  const marks = await Promise.all(files.map(readMark));
  return marks.filter((mark) => mark !== null);
}

/** The highest marked positions of a stream; null if it has no marks. */
export function markOfStream(
  marks: readonly StreamMark[],
  { streamId, comparePositions }: MarkedStream,
): StreamMark | null {
  const highest: Position[] = [];
  const own = marks.filter((mark) => mark.streamId === streamId);
  for (const [partition, position] of own.flatMap((mark) => [...mark.highest.entries()])) {
    const known = highest[partition];
    if (known === undefined || comparePositions(position, known) > 0) highest[partition] = position;
  }
  return own.length === 0 ? null : { streamId, highest };
}

/**
 * Compares a stream with its marks, for kinds without a check of their own.
 * @throws BridgeError STREAM_GAP
 */
export async function checkStreamMarks(
  marks: readonly StreamMark[],
  stream: MarkedStream & Pick<FixedStreamLog, "partitionCount" | "partitionState">,
): Promise<void> {
  const highestMarked = markOfStream(marks, stream)?.highest ?? [];
  for (const [partition, marked] of highestMarked.slice(0, stream.partitionCount).entries()) {
    const { highest } = await stream.partitionState(partition);
    if (stream.comparePositions(highest, marked) >= 0) continue;
    throw new BridgeError(
      "STREAM_GAP",
      `partition ${partition} of the stream went up to ${marked} when this gateway last saw it, and ends at "${highest}" now: it was restored from an older copy. Restore the newest copy, or give up the missing blocks and start a new stream id with \`tidegate stream new\``,
      { retryable: false },
    );
  }
}

/**
 * Marks the stream's highest positions every `intervalMs`. A failed write is retried; a missing mark only
 * makes a later check coarser. The first mark replaces those of earlier writers, because the stream was
 * checked against them. `stop` writes the last mark.
 */
export function keepStreamMark(options: {
  readonly file: string;
  readonly streamId: string;
  /** The highest durable positions, by partition. */
  readonly highest: () => Promise<readonly Position[]>;
  readonly intervalMs: number;
  readonly logger: Logger;
}): { stop(): Promise<void> } {
  const { file, streamId, highest, intervalMs, logger } = options;
  const own = markFileOf(file, randomUUID().slice(0, 8));
  const former = markFiles(file).catch(() => []);
  let written = "";
  let isFailing = false;
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
      if (text !== written) {
        await replaceFile(own, text);
        if (written === "") await removeFiles(await former);
        written = text;
      }
      if (isFailing)
        logger.info({ event: "stream.mark.recovered" }, "the stream's positions are marked again");
      isFailing = false;
    } catch (error) {
      const fields = { event: "stream.mark.failed", err: error };
      if (!isFailing) logger.warn(fields, "the stream's positions can't be marked; retrying each second");
      isFailing = true;
    }
  }
}

async function readMark(file: string): Promise<StreamMark | null> {
  try {
    const value: unknown = JSON.parse(await readFile(file, "utf8"));
    return Value.Check(markSchema, value) ? value : null;
  } catch {
    return null;
  }
}

/** `id` null = the file of version 0.1.0, which all writers shared. */
function markFileOf(file: string, id: string | null): string {
  const { dir, name, ext } = parse(file);
  return join(dir, id === null ? `${name}${ext}` : `${name}.${id}${ext}`);
}

async function markFiles(file: string): Promise<string[]> {
  const { dir, name, ext } = parse(file);
  const rest = (other: string): string => (other.startsWith(name) ? other.slice(name.length) : "?");
  const isMark = (other: string): boolean => /^(\.[0-9a-f]{8})?$/.test(rest(other).replace(ext, ""));
  return (await readdir(dir))
    .filter((other) => other.endsWith(ext) && isMark(other))
    .map((other) => join(dir, other));
}

async function removeFiles(files: readonly string[]): Promise<void> {
  for (const file of files.flatMap((each) => [each, `${each}${draftSuffix}`]))
    await rm(file, { force: true });
}

async function replaceFile(file: string, text: string): Promise<void> {
  const handle = await open(`${file}${draftSuffix}`, "w");
  try {
    await handle.writeFile(text);
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(`${file}${draftSuffix}`, file);
}
