/** The parts of the ingest core that a front end needs, and those that the gateway needs to build it. */
export type { Admission } from "./admission.ts";
export type { DeviceRegistry, DeviceRole, Identity, SlowCheck } from "./device-registry.ts";
export {
  createIngest,
  type IngestCore,
  type IngestStatus,
  type Newcomer,
  type Refuse,
} from "./ingest-core.ts";
export { collectFrom } from "./ingest-metrics.ts";
export type { IngestClient, IngestSession } from "./ingest-session.ts";
export type { TelemetryVerdict, Verdict } from "./ingress.ts";
export type { LiveAudience } from "./live-audience.ts";
export type { PublishMessage } from "./publish-message.ts";
export type { IngressPublish, PublishSink } from "./publish-sink.ts";
export { RateLimit } from "./rate-limit.ts";
export type {
  Refusal,
  RefusalCode,
  RefusalFields,
  RefusalMeaning,
} from "./refusal.ts";
export type { RefusedClient } from "./refusal-log.ts";
export type { TopicRegistry, TopicRule } from "./topic-registry.ts";
