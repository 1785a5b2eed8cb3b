import type { FixedStreamLog } from "../../../bridge/index.ts";

const pollMs = 1_000;

/** Tells the consumer to commit early while what waits in the stream comes near its limit: only then can it be trimmed. */
export class StreamPressure {
  readonly #timer: NodeJS.Timeout;
  #isHigh = false;

  /** @param highBytes Retained bytes of all partitions above which the pressure is high. */
  constructor(stream: Pick<FixedStreamLog, "partitionCount" | "partitionState">, highBytes: number) {
    this.#timer = setInterval(() => {
      retainedBytes(stream).then(
        (bytes) => {
          this.#isHigh = bytes > highBytes;
        },
        // A stream that can't be asked is the consumer's to report; it reads it far more often.
        () => {},
      );
    }, pollMs);
    this.#timer.unref();
  }

  get isHigh(): boolean {
    return this.#isHigh;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function retainedBytes(
  stream: Pick<FixedStreamLog, "partitionCount" | "partitionState">,
): Promise<number> {
  let bytes = 0;
  for (let partition = 0; partition < stream.partitionCount; partition++)
    bytes += (await stream.partitionState(partition)).retainedBytes;
  return bytes;
}
