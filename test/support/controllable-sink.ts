import type { IngressPublish, PublishSink } from "../../broker/ingest/publish-sink.ts";

export interface AcceptedPublish extends IngressPublish {
  readonly text: string;
  readonly settle: (error?: Error) => void;
}

/** A sink whose messages become durable when the test demands it. */
export class ControllableSink implements PublishSink {
  readonly accepted: AcceptedPublish[] = [];
  isFull = false;
  /** Settles each message in a later turn. */
  isInstant = false;
  #drain: () => void = () => {};

  accept(publish: IngressPublish, settled: (error?: Error) => void): void {
    const text = Buffer.from(publish.payload).toString();
    this.accepted.push({ ...publish, payload: Buffer.from(publish.payload), text, settle: settled });
    if (this.isInstant) setImmediate(settled);
  }

  onDrain(listener: () => void): void {
    this.#drain = listener;
  }

  drain(): void {
    this.isFull = false;
    this.#drain();
  }

  settleAll(error?: Error): void {
    for (const { settle } of this.accepted.splice(0)) settle(error);
  }
}
