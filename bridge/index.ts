// stream side: blocks, producer, streams
export { encodeBlock } from "./block/block-builder.ts";
export {
  type BlockHeader,
  type BlockMessage,
  type BlockSeal,
  MAX_BLOCK_BYTES,
  MAX_MESSAGE_PAYLOAD_BYTES,
} from "./block/block-format.ts";
export { type DecodedBlock, decodeBlock } from "./block/decode-block.ts";
export { openBootClock } from "./boot-clock.ts";
export { bridgeConfigSchemas } from "./config.ts";
// consumer and its dedupe window
export type { AcceptedGap } from "./consumer/accept-gap.ts";
export { createAttemptFile } from "./consumer/attempt-file.ts";
export { type Consumer, type ConsumerOptions, createConsumer } from "./consumer/consumer.ts";
export { type ConsumerConfig, consumerConfigSchema } from "./consumer/consumer-config.ts";
export type { ConsumerStatus, FinishedPartition, PartitionStatus } from "./consumer/consumer-status.ts";
export {
  type LeasesStatus,
  ownEverything,
  type PartitionLease,
  type PartitionLeases,
} from "./consumer/partition-leases.ts";
export { type QuarantineReason, quarantineReasons, quarantines } from "./consumer/quarantine-reason.ts";
export type { RecoveryStatus } from "./consumer/recovery-progress.ts";
export type { ColumnType, TopicCatalog, TopicVersion, TypedColumn } from "./consumer/topic-catalog.ts";
export { typedColumnsOf } from "./consumer/typed-columns.ts";
export { BridgeError, type BridgeErrorCode, bridgeErrors } from "./errors.ts";
export { type LeasesConfig, leasesConfigSchema } from "./leases/leases-config.ts";
export { createRedisLeases, type RedisLeasesOptions } from "./leases/redis-leases.ts";
export {
  createProducer,
  type Producer,
  type ProducerOptions,
  type ProducerStatus,
} from "./producer/producer.ts";
export { type ProducerConfig, producerConfigSchema } from "./producer/producer-config.ts";
// redis
export { type RedisConfig, redisConfigSchema } from "./redis/redis-config.ts";
export { connectRedis, type RedisClient, type RedisConnectionOptions } from "./redis/redis-connection.ts";
export { redisError } from "./redis/redis-error.ts";
export { type RedisScript, redisScript, runScript } from "./redis/redis-script.ts";
export { parseRedisUrl, type RedisTarget } from "./redis/redis-url.ts";
// lake: store, commit log, tables
export type { BatchWriter } from "./storage/batch-writer.ts";
export {
  type CommitLog,
  type LakeState,
  noCounters,
  partitionKey,
  QUARANTINE,
} from "./storage/commit-log.ts";
export { createTablePublisher, type TablePublisherOptions } from "./storage/delta/table-publisher.ts";
export type { CommittedChunk, CommittedRow, CommittedRows } from "./storage/follow/committed-rows.ts";
export type { FollowPosition } from "./storage/follow/follow-position.ts";
export { type CommittedRowsOptions, createCommittedRows } from "./storage/follow/followed-rows.ts";
export { type CommitLogOptions, type LakeCommitLog, openCommitLog } from "./storage/lake-commit-log.ts";
export { createSeedSource } from "./storage/lake-seed-source.ts";
export { openLocalStore, openLocalStoreForReading } from "./storage/local/local-store.ts";
export { lakeUsers } from "./storage/local/staging-folder.ts";
export { type MovedLake, type MoveProgress, moveLake } from "./storage/move-lake.ts";
export type { CopyProgress, LocalCopies, ObjectStore } from "./storage/object-store.ts";
export type { ParquetBatchWriterOptions } from "./storage/parquet/batch-writer.ts";
export { loadParquet } from "./storage/parquet/load-parquet.ts";
export type { QueryProgress } from "./storage/parquet/query-views.ts";
export type { QueryOptions, QueryResult } from "./storage/parquet/run-query.ts";
export { openS3Store } from "./storage/s3/open-s3-store.ts";
export { type S3Config, s3ConfigSchema } from "./storage/s3/s3-config.ts";
export type { S3StoreOptions } from "./storage/s3/s3-store-options.ts";
export type { SeedSource, TablePublisher } from "./storage/seed-source.ts";
export { readTableSnapshots, type TableSnapshot } from "./storage/table-snapshots.ts";
export { type TablesConfig, tablesConfigSchema } from "./storage/tables-config.ts";
export {
  type LakeTopicCatalog,
  openTopicCatalog,
  type TopicDefinition,
  writeTopicVersion,
} from "./storage/topic-versions.ts";
export { type VacuumOptions, type VacuumReport, vacuum } from "./storage/vacuum.ts";
export { VacuumMetrics } from "./storage/vacuum-metrics.ts";
export {
  END_POSITION,
  type FixedStreamLog,
  type PartitionState,
  type Position,
  START_POSITION,
  type StreamEntry,
  type StreamLog,
} from "./streams/stream-log.ts";
export { checkStreamMarks, keepStreamMark, readStreamMarks, type StreamMark } from "./streams/stream-mark.ts";
export { replacementOf, type StreamReplacement, type UnreadRecords } from "./streams/stream-replacement.ts";
export type { DedupWindow, WindowStatus } from "./window/dedup-window.ts";
export { createMemoryWindow, type MemoryWindowOptions } from "./window/memory/memory-window.ts";
export { openRedisWindow, type RedisWindowOptions } from "./window/redis/redis-window.ts";
