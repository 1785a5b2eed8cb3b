export type { Admission } from "./admission.ts";
export { Broker, type BrokerOptions, type BrokerStatus, createBroker } from "./broker.ts";
export { type BrokerConfig, brokerConfigSchema } from "./config.ts";
export type { DeviceRegistry, DeviceRole, Identity, SlowCheck } from "./device-registry.ts";
export { BrokerError, type BrokerErrorCode, brokerErrors } from "./errors.ts";
export type { IngressPublish, PublishSink } from "./publish-sink.ts";
export { type RefusalReason, refusalReasons, refusals } from "./refusal.ts";
export type { TopicRegistry, TopicRule } from "./topic-registry.ts";
