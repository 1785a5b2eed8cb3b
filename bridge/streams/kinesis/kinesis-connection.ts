import type {
  GetRecordsOutput,
  KinesisClient,
  PutRecordsRequestEntry,
  PutRecordsResultEntry,
  Shard,
  StreamDescriptionSummary,
} from "@aws-sdk/client-kinesis";
import { BridgeError } from "../../errors.ts";
import { type Position, startPosition } from "../stream-log.ts";
import { exceptionOf, kinesisError } from "./kinesis-error.ts";
import type { KinesisTarget } from "./kinesis-url.ts";

/** A page of ListShards has up to a thousand shards; a stream of ours has at most 65,536. */
const shardPagesMax = 100;
/** Connections are reused. Each call in flight and each shard that is read needs one. */
const socketsMax = 512;

type KinesisSdk = typeof import("@aws-sdk/client-kinesis");

interface KinesisConnectionParts {
  readonly sdk: KinesisSdk;
  readonly client: KinesisClient;
  readonly timeoutMs: number;
}

/**
 * Calls to one stream. Each call is sent once and ends after `timeoutMs` at the latest; failures are
 * BridgeErrors (`kinesisError`).
 */
export class KinesisConnection {
  readonly target: KinesisTarget;
  readonly #sdk: KinesisSdk;
  readonly #client: KinesisClient;
  readonly #timeoutMs: number;
  readonly #closed = new AbortController();

  private constructor(target: KinesisTarget, parts: KinesisConnectionParts) {
    this.target = target;
    this.#sdk = parts.sdk;
    this.#client = parts.client;
    this.#timeoutMs = parts.timeoutMs;
  }

  /** Loads the SDK at the first connection, because most processes have none. */
  static async open(
    target: KinesisTarget,
    { timeoutMs }: { readonly timeoutMs: number },
  ): Promise<KinesisConnection> {
    const [sdk, { NodeHttpHandler }] = await Promise.all([
      import("@aws-sdk/client-kinesis"),
      import("@smithy/node-http-handler"),
    ]);
    const { region, endpoint } = target;
    // Our lock file pins a version that is tested with this Node, so the SDK's warning about old versions
    // does not help.
    process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
    const client = new sdk.KinesisClient({
      region,
      ...(endpoint === undefined ? {} : { endpoint }),
      maxAttempts: 1,
      // HTTP/1.1, because local servers support nothing else, and these calls need nothing else.
      requestHandler: new NodeHttpHandler({
        connectionTimeout: timeoutMs,
        httpAgent: { maxSockets: socketsMax },
        httpsAgent: { maxSockets: socketsMax },
      }),
    });
    return new KinesisConnection(target, { sdk, client, timeoutMs });
  }

  async describe(): Promise<StreamDescriptionSummary> {
    const command = new this.#sdk.DescribeStreamSummaryCommand({ StreamName: this.target.streamName });
    const answer = await this.#call("DescribeStreamSummary", (options) =>
      this.#client.send(command, options),
    );
    return answer.StreamDescriptionSummary ?? this.#isNone("DescribeStreamSummary");
  }

  /** All shards, including closed ones that may hold records. */
  async listShards(): Promise<Shard[]> {
    const shards: Shard[] = [];
    let token: string | undefined;
    for (let page = 0; page < shardPagesMax; page++) {
      const command = new this.#sdk.ListShardsCommand(
        token === undefined ? { StreamName: this.target.streamName } : { NextToken: token },
      );
      const answer = await this.#call("ListShards", (options) => this.#client.send(command, options));
      shards.push(...(Array.isArray(answer.Shards) ? answer.Shards : this.#isNone("ListShards")));
      token = answer.NextToken;
      if (token === undefined) return shards;
    }
    throw this.#isNone("ListShards");
  }

  /**
   * Resolves with one result per record, in order. A failed record has an ErrorCode; the others are stored.
   */
  async putRecords(records: PutRecordsRequestEntry[]): Promise<PutRecordsResultEntry[]> {
    const command = new this.#sdk.PutRecordsCommand({ StreamName: this.target.streamName, Records: records });
    const answer = await this.#call("PutRecords", (options) => this.#client.send(command, options));
    const results = answer.Records;
    return Array.isArray(results) && results.length === records.length ? results : this.#isNone("PutRecords");
  }

  /** An iterator that begins with the first record after a position. */
  async shardIterator(shardId: string, after: Position): Promise<string> {
    const command = new this.#sdk.GetShardIteratorCommand({
      StreamName: this.target.streamName,
      ShardId: shardId,
      ...(after === startPosition
        ? { ShardIteratorType: "TRIM_HORIZON" }
        : { ShardIteratorType: "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber: after }),
    });
    const answer = await this.#call("GetShardIterator", (options) => this.#client.send(command, options));
    return answer.ShardIterator ?? this.#isNone("GetShardIterator");
  }

  async getRecords(iterator: string): Promise<GetRecordsOutput> {
    const command = new this.#sdk.GetRecordsCommand({ ShardIterator: iterator });
    const answer = await this.#call("GetRecords", (options) => this.#client.send(command, options));
    return Array.isArray(answer.Records) ? answer : this.#isNone("GetRecords");
  }

  /** False if a stream of this name exists. `shardCount` null = on demand. */
  async createStream(shardCount: number | null): Promise<boolean> {
    const command = new this.#sdk.CreateStreamCommand({
      StreamName: this.target.streamName,
      ...(shardCount === null
        ? { StreamModeDetails: { StreamMode: "ON_DEMAND" } }
        : { ShardCount: shardCount, StreamModeDetails: { StreamMode: "PROVISIONED" } }),
    });
    try {
      await this.#call("CreateStream", (options) => this.#client.send(command, options));
      return true;
    } catch (error) {
      if (exceptionOf(error) === "ResourceInUseException") return false;
      throw error;
    }
  }

  /** Closes the connection; calls in flight reject. */
  close(): void {
    this.#closed.abort();
    this.#client.destroy();
  }

  /** Has a time-out of its own, because those of the SDK end with the first byte of the answer. */
  async #call<Answer>(
    api: string,
    send: (options: { abortSignal: AbortSignal }) => Promise<Answer>,
  ): Promise<Answer> {
    const abort = new AbortController();
    let end = (_failure: BridgeError): void => {};
    const ended = new Promise<never>((_, reject) => {
      end = (failure) => {
        reject(failure);
        abort.abort();
      };
    });
    const onClose = () => end(closed());
    const timer = setTimeout(() => end(this.#timedOut(api)), this.#timeoutMs);
    this.#closed.signal.addEventListener("abort", onClose);
    try {
      if (this.#closed.signal.aborted) throw closed();
      return await Promise.race([send({ abortSignal: abort.signal }), ended]);
    } catch (error) {
      throw kinesisError(error, api, this.target);
    } finally {
      clearTimeout(timer);
      this.#closed.signal.removeEventListener("abort", onClose);
    }
  }

  #timedOut(api: string): BridgeError {
    const text = `kinesis:${api} on ${this.target.streamName} got no answer within ${this.#timeoutMs} ms`;
    return new BridgeError("STREAM_TIMEOUT", text, { retryable: true, details: { api } });
  }

  /** The answer is incomplete, so the outcome of the call is unknown. */
  #isNone(api: string): never {
    const text = `kinesis:${api} on ${this.target.streamName}: the answer is incomplete: another service than Kinesis answers`;
    throw new BridgeError("KINESIS_UNAVAILABLE", text, { retryable: true, details: { api } });
  }
}

function closed(): BridgeError {
  return new BridgeError("STREAM_CLOSED", "the stream was closed", { retryable: false });
}
