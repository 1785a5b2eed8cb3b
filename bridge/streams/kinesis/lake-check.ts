import type { CommittedMoves } from "../committed-moves.ts";
import { checkStreamOfLake, type KnownStream } from "../lake-check.ts";
import { newStreamCommand } from "./new-stream-command.ts";

const check = {
  place: "the stream in Kinesis",
  // Positions of any kind of stream count, because unfiled records of the old stream would be given up.
  isRival: () => true,
} as const;

/**
 * Checks that the lake continues in this stream. Call this before accepting the first publish. Kinesis does
 * not tell a stream's highest position, so missing records are detected when they are read.
 * @param stream null if there is none.
 * @throws BridgeError STREAM_GAP
 */
export function checkKinesisStreamAgainstLake(stream: KnownStream | null, lake: CommittedMoves): void {
  const command = stream ? newStreamCommand.there : newStreamCommand.missing;
  const mend = `Name the lake's own stream in the URL; move an embedded stream with \`tidegate migrate\`, or one in Redis with its \`--from\`; or, if the old stream was deleted, give up unfiled messages and continue in this one with \`${command}\``;
  checkStreamOfLake(stream, lake, { ...check, mend });
}
