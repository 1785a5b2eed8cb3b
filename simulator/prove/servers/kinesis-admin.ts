import { setTimeout as delay } from "node:timers/promises";
import {
  CreateStreamCommand,
  DescribeStreamSummaryCommand,
  KinesisClient,
  ListShardsCommand,
  MergeShardsCommand,
  type Shard,
  SplitShardCommand,
  UpdateShardCountCommand,
} from "@aws-sdk/client-kinesis";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { SimulatorError } from "../../errors.ts";

const pollMs = 20;
const activePolls = 500;
/** Shards divide the hash keys from 0 to this. */
const lastHashKey = 2n ** 128n - 1n;

/** A client of a local server or of a proxy in front of it. Emulators and proxies speak HTTP/1.1 only. */
export function localKinesisClient(
  url: string,
  options: { readonly maxAttempts?: number } = {},
): KinesisClient {
  // The locked version runs on the Node that it is tested with.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  return new KinesisClient({
    endpoint: url,
    region: "us-east-1",
    credentials: { accessKeyId: "local", secretAccessKey: "local" },
    requestHandler: new NodeHttpHandler(),
    ...options,
  });
}

/**
 * Creates, splits and merges on a local server as an operator would. Waits each time until the stream is
 * ACTIVE again.
 */
export class KinesisAdmin {
  readonly client: KinesisClient;
  readonly #streamName: string;

  constructor(client: KinesisClient, streamName: string) {
    this.client = client;
    this.#streamName = streamName;
  }

  async create(shardCount: number): Promise<void> {
    await this.client.send(new CreateStreamCommand({ StreamName: this.#streamName, ShardCount: shardCount }));
    await this.active();
  }

  /** Open shards by hash key. */
  async openShards(): Promise<Shard[]> {
    const shards: Shard[] = [];
    for (let token: string | undefined, isFirst = true; isFirst || token; isFirst = false) {
      const which = token ? { NextToken: token } : { StreamName: this.#streamName };
      const page = await this.client.send(new ListShardsCommand(which));
      shards.push(...(page.Shards ?? []));
      token = page.NextToken;
    }
    return shards
      .filter((shard) => shard.SequenceNumberRange?.EndingSequenceNumber === undefined)
      .sort((a, b) => (firstHashKey(a) < firstHashKey(b) ? -1 : 1));
  }

  /** Splits a shard in the middle; by default the widest one. */
  async split(shardId?: string): Promise<void> {
    const shards = await this.openShards();
    const byWidth = shards.toSorted((a, b) => (width(a) > width(b) ? -1 : 1));
    const shard = shardId === undefined ? byWidth[0] : shards.find(({ ShardId }) => ShardId === shardId);
    if (!shard) throw new TypeError(`${this.#streamName} has no open shard ${shardId ?? ""}`);
    await this.client.send(
      new SplitShardCommand({
        StreamName: this.#streamName,
        ShardToSplit: shard.ShardId,
        NewStartingHashKey: String(firstHashKey(shard) + width(shard) / 2n),
      }),
    );
    await this.active();
  }

  /** Merges a shard with its neighbour above; by default the narrowest two neighbours. */
  async merge(shardId?: string): Promise<void> {
    const shards = await this.openShards();
    const pairs = shards.slice(1).flatMap((above, index) => {
      const below = shards[index];
      return below ? [{ below, above, width: width(below) + width(above) }] : [];
    });
    const byWidth = pairs.toSorted((a, b) => (a.width < b.width ? -1 : 1));
    const pair = shardId === undefined ? byWidth[0] : pairs.find(({ below }) => below.ShardId === shardId);
    if (!pair) throw new TypeError(`${this.#streamName} has no two neighbours to merge`);
    await this.client.send(
      new MergeShardsCommand({
        StreamName: this.#streamName,
        ShardToMerge: pair.below.ShardId,
        AdjacentShardToMerge: pair.above.ShardId,
      }),
    );
    await this.active();
  }

  /** Calls UpdateShardCount. If the server does not have it (kinesalite), splits and merges instead. */
  async updateShardCount(count: number): Promise<void> {
    try {
      await this.client.send(
        new UpdateShardCountCommand({
          StreamName: this.#streamName,
          TargetShardCount: count,
          ScalingType: "UNIFORM_SCALING",
        }),
      );
      await this.active();
    } catch (error) {
      if ((error as Error).name !== "UnknownOperationException") throw error;
      await this.#splitAndMergeTo(count);
    }
  }

  /** Resolves when the stream is ACTIVE. */
  async active(): Promise<void> {
    for (let poll = 0; poll < activePolls; poll++) {
      const answer = await this.client.send(
        new DescribeStreamSummaryCommand({ StreamName: this.#streamName }),
      );
      if (answer.StreamDescriptionSummary?.StreamStatus === "ACTIVE") return;
      await delay(pollMs);
    }
    throw new SimulatorError("PROVE_SERVER_FAILED", `the stream ${this.#streamName} did not become ACTIVE`, {
      retryable: false,
    });
  }

  async #splitAndMergeTo(count: number): Promise<void> {
    for (let open = (await this.openShards()).length; open < count; open++) await this.split();
    for (let open = (await this.openShards()).length; open > count; open--) await this.merge();
  }
}

function firstHashKey({ HashKeyRange }: Shard): bigint {
  return BigInt(HashKeyRange?.StartingHashKey ?? 0);
}

function width(shard: Shard): bigint {
  return BigInt(shard.HashKeyRange?.EndingHashKey ?? lastHashKey) - firstHashKey(shard) + 1n;
}
