import type { UnreadRecords } from "../../bridge/index.ts";

/** What was given up with a stream; null = unknown. */
export function givenUpText(unread: UnreadRecords | null): string {
  if (!unread) return "an unknown number of messages, since it lost some or can't be read to its end";
  if (unread.messages === 0) return "nothing, all of it was filed";
  return `${unread.messages} messages that were not filed, in ${unread.blocks} blocks`;
}
