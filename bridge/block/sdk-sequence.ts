import { EPOCH_BYTES, SDK_MESSAGE_ID_BYTES } from "../../devices/protocol/message-id.ts";

/** Exact deduplication knows no larger ones: these are left to the time window. */
export const EXACT_SEQUENCE_MAX = 2 ** 48 - 1;

/** The sequence in an id of the SDK's form; null where it can't be one. */
export function sequenceOfId(messageId: Uint8Array): number | null {
  if (messageId.length !== SDK_MESSAGE_ID_BYTES) return null;
  let sequence = 0;
  for (let at = EPOCH_BYTES; at < SDK_MESSAGE_ID_BYTES; at++)
    sequence = sequence * 256 + (messageId[at] as number);
  return sequence <= EXACT_SEQUENCE_MAX ? sequence : null;
}
