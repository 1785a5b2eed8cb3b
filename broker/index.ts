export { type BrokerConfig, brokerConfigSchema } from "./config.ts";
export { BrokerError, type BrokerErrorCode, brokerErrorCodes } from "./errors.ts";
export type { Admission } from "./ingest/admission.ts";
export type { DeviceRegistry, DeviceRole, Identity, SlowCheck } from "./ingest/device-registry.ts";
export type { IngressPublish, PublishSink } from "./ingest/publish-sink.ts";
export { type RefusalReason, refusalReasons } from "./ingest/refusal.ts";
export type { TopicRegistry, TopicRule } from "./ingest/topic-registry.ts";
export { Broker, type BrokerOptions, type BrokerStatus, createBroker } from "./mqtt/broker.ts";
