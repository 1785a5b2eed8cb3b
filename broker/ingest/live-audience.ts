import type { PublishMessage } from "./publish-message.ts";

/** PORT: who is shown messages as soon as they are durable, whichever front end they came through. */
export interface LiveAudience {
  /**
   * What to do once the message is durable; null if nobody is to be shown it. Called on the hot path. The
   * payload must be copied.
   */
  prepare(message: PublishMessage): (() => void) | null;
}

export const nobody: LiveAudience = { prepare: () => null };
