import type { UnreadRecords } from "../../bridge/streams/index.ts";

/** What was given up with a stream; null = unknown. */
export function givenUpText(unread: UnreadRecords | null): string {
  if (!unread)
    return "an unknown number of messages, because the stream lost some or can't be read to its end";
  if (unread.messages === 0) return "nothing, because all messages were filed";
  return `${unread.messages} unfiled messages in ${unread.blocks} blocks`;
}
