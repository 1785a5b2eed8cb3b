import type { KinesisConfig } from "./kinesis-config.ts";
import type { Shard } from "./shard.ts";
import { TokenBucket } from "./token-bucket.ts";

export interface ShardRatesOptions {
  readonly shards: {
    /** Also returns a closed shard. */
    shard(partition: number): Shard;
    openShard(hashKey: bigint): Shard;
  };
  readonly config: Pick<KinesisConfig, "shardRecordsPerSecond" | "shardBytesPerSecond">;
  readonly monotonicMs: () => number;
}

interface ShardRate {
  readonly records: TokenBucket;
  readonly bytes: TokenBucket;
}

/**
 * The rates at which this process may write to each shard. Blocks for a closed shard count for the shard in
 * which they land.
 */
export class ShardRates {
  readonly #options: ShardRatesOptions;
  /** By open shard. */
  readonly #rates = new Map<number, ShardRate>();

  constructor(options: ShardRatesOptions) {
    this.#options = options;
  }

  /** Time until a record of that many bytes may be written, ms; 0 = now. */
  waitMs(partition: number, recordBytes: number): number {
    const { records, bytes } = this.#rateOf(partition);
    return Math.max(records.waitMs(1), bytes.waitMs(recordBytes));
  }

  take(partition: number, recordBytes: number): void {
    const { records, bytes } = this.#rateOf(partition);
    records.take(1);
    bytes.take(recordBytes);
  }

  /** Kinesis refused a record: other processes have used the shard's rate. */
  drain(partition: number): void {
    const { records, bytes } = this.#rateOf(partition);
    records.drain();
    bytes.drain();
  }

  #rateOf(partition: number): ShardRate {
    const { shards, config, monotonicMs } = this.#options;
    const meant = shards.shard(partition);
    const landing = meant.isOpen ? meant : shards.openShard(meant.firstHashKey);
    const known = this.#rates.get(landing.partition);
    if (known) return known;
    const rate = {
      records: new TokenBucket(config.shardRecordsPerSecond, monotonicMs),
      bytes: new TokenBucket(config.shardBytesPerSecond, monotonicMs),
    };
    this.#rates.set(landing.partition, rate);
    return rate;
  }
}
