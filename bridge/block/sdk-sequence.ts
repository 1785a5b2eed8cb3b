import { epochBytes, sdkMessageIdBytes } from "../../devices/protocol/message-id.ts";

/** Exact deduplication remembers no larger sequences; the dedupe window decides on those. */
export const exactSequenceMax = 2 ** 48 - 1;

/** The sequence in a message id that has the SDK's form; null if the id has another form. */
export function sequenceOfId(messageId: Uint8Array): number | null {
  if (messageId.length !== sdkMessageIdBytes) return null;
  let sequence = 0;
  for (let at = epochBytes; at < sdkMessageIdBytes; at++)
    sequence = sequence * 256 + (messageId[at] as number);
  return sequence <= exactSequenceMax ? sequence : null;
}
