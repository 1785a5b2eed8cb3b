export { type BrokerConfig, brokerConfigSchema } from "./config.ts";
export { BrokerError, type BrokerErrorCode, brokerErrors } from "./errors.ts";
export {
  type Admission,
  createIngest,
  type DeviceRegistry,
  type DeviceRole,
  type Identity,
  type IngestCore,
  type IngressPublish,
  type PublishSink,
  type SlowCheck,
  type TopicRegistry,
  type TopicRule,
} from "./ingest/index.ts";
export { Broker, type BrokerOptions, type BrokerStatus, createBroker } from "./mqtt/broker.ts";
