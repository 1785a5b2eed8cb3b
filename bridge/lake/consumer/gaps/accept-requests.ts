import { BridgeError } from "../../../errors.ts";
import type { LakeState } from "../../commit-log/commit-log.ts";
import type { ConsumerContext } from "../consumer-ports.ts";
import type { PartitionShare } from "../partitions/partition-share.ts";
import { type AcceptedGap, acceptGap, isAnswer } from "./accept-gap.ts";

interface AcceptRequest {
  readonly partition: number;
  readonly resolve: (accepted: AcceptedGap) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests of operators that wait until the consumer can serve them. */
export class AcceptRequests {
  #requests: AcceptRequest[] = [];

  get isEmpty(): boolean {
    return this.#requests.length === 0;
  }

  /** Resolves once the request was served. */
  add(partition: number): Promise<AcceptedGap> {
    return new Promise((resolve, reject) => {
      this.#requests.push({ partition, resolve, reject });
    });
  }

  /**
   * Serves all requests; the open batch must be committed. Calls `moved` with the lake's state after each.
   * Resolves with false if a recovery is necessary.
   */
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
    "the consumer ended or recovered before it could accept the gap: check `tidegate status` and try again";
  return new BridgeError("CONSUMER_STOPPED", text, { retryable: true });
}
