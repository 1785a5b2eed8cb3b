import type { SpaceStatus } from "../../bridge/streams/embedded/kind.ts";
import type { KinesisStreamStatus } from "../../bridge/streams/kinesis/kind.ts";
import type { RedisStreamStatus } from "../../bridge/streams/redis/kind.ts";

/**
 * The status of the stream by broker and consumer, as the API describes it: a member for each kind of
 * stream.
 */
export interface StreamMembers {
  readonly space?: SpaceStatus | null;
  readonly redis?: RedisStreamStatus | null;
  readonly kinesis?: KinesisStreamStatus | null;
}

/** The members of a process in the status; {} = it does not answer. */
export function streamMembers(process: object | null | undefined): StreamMembers {
  return process ?? {};
}
