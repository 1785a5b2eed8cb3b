import { setTimeout as delay } from "node:timers/promises";
import { BridgeError } from "../../errors.ts";
import { type KinesisConfig, kinesisConfigOf } from "./kinesis-config.ts";
import { KinesisConnection } from "./kinesis-connection.ts";
import { isPassing } from "./kinesis-error.ts";
import type { KinesisTarget } from "./kinesis-url.ts";
import { descriptionOf, faultOf } from "./stream-description.ts";

const pollMs = 200;

export interface CreateKinesisStreamOptions
  extends Partial<Pick<KinesisConfig, "timeoutMs" | "createTimeoutMs">> {
  readonly target: KinesisTarget;
  /** null = on demand: Kinesis chooses the number of shards. */
  readonly shardCount: number | null;
}

/**
 * Creates the stream and waits until it is usable. An existing stream of this name stays unchanged.
 * @throws BridgeError KINESIS_DENIED, KINESIS_THROTTLED (also if the account may have no more shards),
 * KINESIS_UNSUPPORTED, …
 */
export async function createKinesisStream(
  options: CreateKinesisStreamOptions,
): Promise<{ readonly streamId: string; readonly isNew: boolean }> {
  const { target, shardCount } = options;
  const config = kinesisConfigOf(options);
  const connection = await KinesisConnection.open(target, config);
  const deadlineMs = performance.now() + config.createTimeoutMs;
  try {
    const isNew = await connection.createStream(shardCount);
    for (;;) {
      const fault = await faultNow(connection);
      if (!(fault instanceof BridgeError)) return { streamId: fault.streamId, isNew };
      if (!fault.retryable || performance.now() > deadlineMs) throw fault;
      await delay(pollMs);
    }
  } finally {
    connection.close();
  }
}

/** The stream, or why it is not usable now. */
async function faultNow(connection: KinesisConnection): Promise<BridgeError | { readonly streamId: string }> {
  try {
    const description = descriptionOf(await connection.describe());
    return faultOf(description, connection.target) ?? description;
  } catch (error) {
    if (isPassing(error)) return error as BridgeError;
    throw error;
  }
}
