import { BridgeError } from "../errors.ts";
import type { LakeState } from "../storage/commit-log.ts";
import { type AcceptedGap, acceptGap, isAnswer } from "./accept-gap.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PartitionShare } from "./partition-share.ts";

interface AcceptRequest {
  readonly partition: number;
  readonly resolve: (accepted: AcceptedGap) => void;
  readonly reject: (error: unknown) => void;
}

/** What operators asked for while the consumer was at something else. */
export class AcceptRequests {
  #requests: AcceptRequest[] = [];

  get isEmpty(): boolean {
    return this.#requests.length === 0;
  }

  /** Resolves once it was served. */
  add(partition: number): Promise<AcceptedGap> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ partition, resolve, reject });
    });
  }

  /** Serves them, the open batch being committed; tells `moved` how the lake is after each. False: recover. */
  async serve(
    context: ConsumerContext,
    share: PartitionShare,
    moved: (lake: LakeState) => void,
  ): Promise<boolean> {
    for (;;) {
      const request = this.#requests.shift();
      if (!request) return true;
      try {
        const outcome = await acceptGap(context, share.cursorOf(request.partition));
        if (outcome.outcome !== "accepted") {
          request.reject(stopped());
          return false;
        }
        moved(outcome.lake);
        request.resolve(outcome.accepted);
      } catch (error) {
        request.reject(error);
        if (!isAnswer(error)) throw error;
      }
    }
  }

  refuse(): void {
    for (const request of this.#requests) request.reject(stopped());
    this.#requests = [];
  }
}

export function stopped(): BridgeError {
  const text =
    "the consumer ended or recovered before it could accept the gap: look at `tidegate status` and try again";
  return new BridgeError("CONSUMER_STOPPED", text, { retryable: true });
}
