import pino from "pino";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { ConsumerMetrics } from "../../../bridge/lake/consumer/consumer-metrics.ts";
import { OutsideTimes } from "../../../bridge/lake/consumer/outside-times.ts";
import { RecoveryProgress } from "../../../bridge/lake/consumer/recovery-progress.ts";
import { RetentionAlarm } from "../../../bridge/lake/consumer/retention-alarm.ts";
import { StorageMetrics } from "../../../bridge/lake/delta/storage-metrics.ts";
import { RetentionMetrics } from "../../../bridge/lake/retention/retention-metrics.ts";
import { UnreadableFiles } from "../../../bridge/lake/seeding/unreadable-files.ts";
import { S3Metrics } from "../../../bridge/lake/stores/s3/s3-metrics.ts";
import { LandingVacuumMetrics } from "../../../bridge/lake/upkeep/landing-vacuum-metrics.ts";
import { UpkeepMetrics } from "../../../bridge/lake/upkeep/upkeep-metrics.ts";
import { VacuumMetrics } from "../../../bridge/lake/upkeep/vacuum-metrics.ts";
import { LeasesMetrics } from "../../../bridge/leases/leases-metrics.ts";
import { ProducerMetrics } from "../../../bridge/producer/producer-metrics.ts";
import { observeSpace } from "../../../bridge/streams/embedded/stream-metrics.ts";
import { createKinesisStreamMetrics } from "../../../bridge/streams/kinesis/kinesis-stream-metrics.ts";
import { createRedisStreamMetrics } from "../../../bridge/streams/redis/redis-stream-metrics.ts";
import { IngestMetrics } from "../../../broker/ingest/ingest-metrics.ts";
import { MqttMetrics } from "../../../broker/mqtt/mqtt-metrics.ts";
import { mqttRefusals } from "../../../broker/mqtt/mqtt-refusals.ts";
import { addRegistryMetrics } from "../../../gateway/registry/registry-metrics.ts";
import { addDegradedMetric, createGatewayMetrics } from "../../../gateway/supervisor/gateway-metrics.ts";

export interface MetricDefinition {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
}

export interface MetricGroup {
  readonly title: string;
  /** The process that exports the metrics, and when. */
  readonly where: string;
  readonly metrics: readonly MetricDefinition[];
}

/**
 * Every metric of the product, as its own code defines it. Nothing is collected, so values are never asked
 * for.
 */
export function metricGroups(): MetricGroup[] {
  const group = (title: string, where: string, define: (registry: Registry) => unknown): MetricGroup => {
    const registry = new Registry();
    define(registry);
    return { title, where, metrics: definitionsIn(registry) };
  };
  return [
    { title: "Gateway", where: "supervisor", metrics: supervisorMetrics() },
    group("Broker", "broker", (registry) => {
      const gauges = { inFlight: never, slowChecks: { count: 0, waiting: 0 } };
      new IngestMetrics(registry, gauges).declareRefusals(Object.keys(mqttRefusals));
      new MqttMetrics(registry, { connections: never });
      addRegistryMetrics(registry, { status: never });
    }),
    group("Producer", "broker", (registry) => new ProducerMetrics(registry)),
    group("Embedded stream", "broker", (registry) => observeSpace(never, registry)),
    group("Stream on Redis", "broker and consumer", (registry) => createRedisStreamMetrics(registry, never)),
    group("Stream in Kinesis", "broker and consumer", (registry) =>
      createKinesisStreamMetrics(registry, never),
    ),
    group("Consumer", "consumer", defineConsumer),
    group("Leases", "consumer and upkeep, if gateways share the stream", (registry) => {
      new LeasesMetrics(registry);
    }),
    group("Tables", "consumer", (registry) => {
      new StorageMetrics(registry);
      new UnreadableFiles({ registry });
    }),
    group("Upkeep", "upkeep", (registry) => {
      new UpkeepMetrics(registry);
      new RetentionMetrics(registry);
      new VacuumMetrics(registry);
      new LandingVacuumMetrics(registry);
    }),
    group("S3", "consumer and upkeep, if the lake is in S3", (registry) => new S3Metrics(registry)),
  ];
}

function supervisorMetrics(): MetricDefinition[] {
  const { registry } = createGatewayMetrics();
  addDegradedMetric(registry, never);
  return definitionsIn(registry);
}

function defineConsumer(registry: Registry): void {
  const elapsedMs = () => 0;
  new ConsumerMetrics(registry);
  new OutsideTimes(registry);
  new RecoveryProgress(elapsedMs, registry);
  const logger = pino({ level: "silent" });
  new RetentionAlarm({ stream: {}, cursors: () => [], logger, registry, elapsedMs });
}

function definitionsIn(registry: Registry): MetricDefinition[] {
  return registry.getMetricsAsArray().map((metric) => {
    const { name, help, labelNames } = metric as unknown as {
      name: string;
      help: string;
      labelNames: readonly string[];
    };
    return { name, help, labels: labelNames, type: typeOf(metric) };
  });
}

function typeOf(metric: unknown): MetricDefinition["type"] {
  if (metric instanceof Counter) return "counter";
  if (metric instanceof Gauge) return "gauge";
  if (metric instanceof Histogram) return "histogram";
  throw new TypeError("a metric of a type that no page describes");
}

function never(): never {
  throw new TypeError("metrics are only defined here");
}
