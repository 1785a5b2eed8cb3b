import type { FixedStreamLog } from "../../../bridge/streams/index.ts";

const pollMs = 1_000;

/**
 * Makes the consumer commit early while the stream is nearly full, because only committed messages can be
 * trimmed.
 */
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
        // The consumer reports a stream that cannot be read; it reads far more often.
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
