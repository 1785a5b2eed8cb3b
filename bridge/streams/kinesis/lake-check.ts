import type { LakeState } from "../../storage/commit-log.ts";
import { checkStreamOfLake, type KnownStream } from "../lake-check.ts";
import { newStreamCommand } from "./new-stream-command.ts";

const check = {
  place: "the stream in Kinesis",
  // Whatever stream it was: what is in there and not filed yet would be forgotten.
  isRival: () => true,
} as const;

/**
 * Whether the stream is the one that the lake continues; to be called before the first publish is accepted. How far it goes Kinesis does
 * not say: what is missing shows when it is read.
 * @param stream null where there is none.
 * @throws BridgeError STREAM_GAP
 */
export function checkKinesisStreamAgainstLake(stream: KnownStream | null, lake: LakeState): void {
  const command = stream ? newStreamCommand.there : newStreamCommand.missing;
  const mend = `Name the lake's own stream in the URL; take an embedded one along with \`tidegate migrate\`, one in Redis with its \`--from\`; or, where the old one was deleted, give up what is missing and continue in this one with \`${command}\``;
  checkStreamOfLake(stream, lake, { ...check, mend });
}
