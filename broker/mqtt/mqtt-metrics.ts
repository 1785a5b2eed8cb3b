import { Counter, Gauge, type Registry } from "prom-client";
import { collectFrom } from "../ingest/index.ts";

/** The counters of MQTT, in addition to those of the ingest core. */
export class MqttMetrics {
  repeated = 0;
  plain = 0;
  retainCleared = 0;
  wills = 0;
  forwarded = 0;
  sessionDropped = 0;
  retainedDropped = 0;

  constructor(registry: Registry, gauges: { readonly connections: () => number }) {
    const registers = [registry];
    const counter = (name: string, help: string, read: () => number) =>
      new Counter({ name, help, registers, collect: collectFrom(read) });
    new Gauge({
      name: "tidegate_broker_connections",
      help: "Connected clients",
      registers,
      collect: collectFrom(gauges.connections),
    });
    counter(
      "tidegate_broker_repeated_total",
      "PUBREC written again for a message that was stored before; counted in acknowledged as well",
      () => this.repeated,
    );
    counter(
      "tidegate_broker_plain_total",
      "Messages of ordinary publish/subscribe (mqtt.plainFilters), which are not filed",
      () => this.plain,
    );
    counter("tidegate_broker_retain_cleared_total", "Retain flags cleared", () => this.retainCleared);
    counter("tidegate_broker_wills_total", "Wills on telemetry topics", () => this.wills);
    counter(
      "tidegate_broker_forwarded_total",
      "Durable messages delivered to subscribers",
      () => this.forwarded,
    );
    counter(
      "tidegate_broker_session_dropped_total",
      "Messages that did not fit into a persistent session's queue",
      () => this.sessionDropped,
    );
    counter(
      "tidegate_broker_retained_dropped_total",
      "Retained messages that were delivered but not kept, because there are too many",
      () => this.retainedDropped,
    );
  }
}
