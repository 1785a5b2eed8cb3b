import { CodedError } from "../devices/protocol/coded-error.ts";

/** Every code that this folder raises, with what it means. */
export const bridgeErrorCodes = [
  // block: bytes that no producer sealed; bytes of a newer writer
  "BLOCK_CORRUPT",
  "BLOCK_VERSION",
  // streams: no answer within the deadline (outcome unknown); no space or budget; a commit or flush failed for another reason (the
  // process must exit); entries after a position are gone; written by a newer Tidegate; used after close; nothing there to open;
  // there is one already; its file is cut or foreign; another number of partitions than configured
  "STREAM_TIMEOUT",
  "STREAM_FULL",
  "STREAM_FLUSH_FAILED",
  "STREAM_GAP",
  "STREAM_VERSION",
  "STREAM_CLOSED",
  "STREAM_MISSING",
  "STREAM_EXISTS",
  "STREAM_MOVED",
  "STREAM_IN_USE",
  "STREAM_DAMAGED",
  "STREAM_PARTITIONS",
  "STREAM_PARTITION_CLOSED",
  // producer: QoS 0 dropped because the sink is full; bigger than a block; not stored before the deadline; after close
  "PRODUCER_FULL",
  "MESSAGE_TOO_LARGE",
  "PRODUCER_DEADLINE",
  "PRODUCER_CLOSED",
  // object store: a flush failed (the process must exit); no answer, outcome unknown; no space; not a path of the lake
  "STORE_FLUSH_FAILED",
  "STORE_UNAVAILABLE",
  "STORE_FULL",
  "STORE_PATH_INVALID",
  // s3: a URL that names no lake, or holds credentials; none found; refused; no such bucket; in another region; a call that these
  // credentials may not make; clocks too far apart; whoever answers is no S3; a server that ignores conditions; any other refusal
  "S3_URL_INVALID",
  "S3_CREDENTIALS_MISSING",
  "S3_CREDENTIALS_REFUSED",
  "S3_BUCKET_MISSING",
  "S3_REGION_WRONG",
  "S3_DENIED",
  "S3_CLOCK_SKEW",
  "S3_NOT_S3",
  "S3_UNCONDITIONAL",
  "S3_REFUSED",
  // lake: there is none; written by a newer Tidegate; a file of it does not hold what it must; it goes on elsewhere; where it was to
  // go is something; somebody commits while it is moved
  "LAKE_MISSING",
  "LAKE_VERSION",
  "LAKE_DAMAGED",
  "LAKE_MOVED",
  "LAKE_EXISTS",
  "LAKE_IN_USE",
  // tables: the database engine refused; a topic version that is another in the lake; another writer changed a table in a way that our rows don't fit;
  // a table has not caught up yet with what was committed
  "PARQUET_FAILED",
  "TOPIC_CONFLICT",
  "TABLE_CONFLICT",
  "TABLE_BEHIND",
  // query: more than one statement, not a SELECT, or too many rows; SQL that DuckDB refuses
  "QUERY_REFUSED",
  "QUERY_FAILED",
  // consumer: a block of another stream; a JSON Schema that does not compile or makes no columns; accepting a gap where none is; the
  // consumer ended before it could do what it was asked; another process reads that partition
  "BLOCK_FOREIGN",
  "TOPIC_SCHEMA_INVALID",
  "STREAM_NO_GAP",
  "CONSUMER_STOPPED",
  "CONSUMER_NOT_OWNER",
  // consumer: a batch could not be written, for a reason that is not the store's
  "FILING_FAILED",
  // leases: another process goes by this one's name
  "LEASES_REPLACED",
  // redis: a URL that names none; no answer (outcome unknown); password or rights; no memory or disk left; somebody else's key stands
  // where ours should; a server too old or set up so that it may lose what it acknowledged
  "REDIS_URL_INVALID",
  "REDIS_UNAVAILABLE",
  "REDIS_DENIED",
  "REDIS_FULL",
  "REDIS_KEY_TYPE",
  "REDIS_UNSUPPORTED",
  // kinesis: a URL that names none; no answer that makes sense (outcome unknown); more than shard or account takes; credentials, rights,
  // encryption key or clock; arguments that Kinesis does not accept; a stream whose settings or size we can't work with
  "KINESIS_URL_INVALID",
  "KINESIS_UNAVAILABLE",
  "KINESIS_THROTTLED",
  "KINESIS_DENIED",
  "KINESIS_REFUSED",
  "KINESIS_UNSUPPORTED",
] as const;

export type BridgeErrorCode = (typeof bridgeErrorCodes)[number];

export class BridgeError extends CodedError<BridgeErrorCode> {}
