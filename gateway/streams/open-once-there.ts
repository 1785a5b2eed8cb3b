import { setTimeout as delay } from "node:timers/promises";
import { BridgeError } from "../../bridge/errors.ts";

export interface OpeningPatience {
  readonly pollMs: number;
  readonly polls: number;
}

/**
 * Opens a stream that a broker may still have to create. Throws STREAM_MISSING after the last attempt, and
 * any other error at once.
 */
export async function openOnceThere<Stream>(
  open: () => Promise<Stream>,
  { pollMs, polls }: OpeningPatience,
): Promise<Stream> {
  for (let poll = 1; ; poll++) {
    try {
      return await open();
    } catch (error) {
      const isMissing = error instanceof BridgeError && error.code === "STREAM_MISSING";
      if (!isMissing || poll === polls) throw error;
    }
    await delay(pollMs);
  }
}
