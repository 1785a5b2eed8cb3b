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
export { bridgeConfigSchemas } from "./config.ts";
export { BridgeError, type BridgeErrorCode, bridgeErrorCodes } from "./errors.ts";
export {
  createProducer,
  type Producer,
  type ProducerOptions,
  type ProducerStatus,
} from "./producer/producer.ts";
export { type ProducerConfig, producerConfigSchema } from "./producer/producer-config.ts";
export { type EmbeddedStreamConfig, embeddedStreamConfigSchema } from "./streams/embedded/embedded-config.ts";
export {
  type AppendOptions as EmbeddedAppendOptions,
  type EmbeddedStream,
  openEmbeddedStream,
  type ReadOptions as EmbeddedReadOptions,
} from "./streams/embedded/embedded-stream.ts";
export { checkStreamAgainstLake } from "./streams/embedded/lake-check.ts";
export type { SpaceStatus } from "./streams/embedded/space-budget.ts";
export { createEmbeddedStream, startNewStream } from "./streams/embedded/stream-folder.ts";
export {
  type PartitionState,
  type Position,
  START_POSITION,
  type StreamEntry,
  type StreamLog,
} from "./streams/stream-log.ts";
