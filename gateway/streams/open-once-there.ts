import { setTimeout as delay } from "node:timers/promises";
import { BridgeError } from "../../bridge/index.ts";

export interface OpeningPatience {
  readonly pollMs: number;
  readonly polls: number;
}

/** A broker creates the stream: a consumer that starts with it waits. Throws STREAM_MISSING in the end, and any other refusal at once. */
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
