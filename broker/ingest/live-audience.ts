import type { PublishMessage } from "./publish-message.ts";

/**
 * PORT: subscribers that see messages as soon as they are durable, whichever front end received the messages.
 */
export interface LiveAudience {
  /**
   * The delivery to make once the message is durable; null if no subscriber wants it. Called on the hot path.
   * The payload must be copied.
   */
  prepare(message: PublishMessage): (() => void) | null;
}

export const nobody: LiveAudience = { prepare: () => null };
