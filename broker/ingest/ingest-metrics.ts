import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { type RefusalReason, refusalReasons } from "./refusal.ts";

export interface BrokerGauges {
  readonly connections: () => number;
  readonly inFlight: () => number;
  readonly slowChecks: { readonly count: number; readonly waiting: number };
}

/** The broker's metrics. Counters on the hot path are plain numbers that a scrape collects. */
export class BrokerMetrics {
  readonly refused: Counter<"reason">;
  readonly acknowledgementSeconds: Histogram;
  readonly #counts = new Map<RefusalReason, number>();
  received = { qos0: 0, qos1: 0, qos2: 0 };
  acknowledged = 0;
  repeated = 0;
  untaken = 0;
  plain = 0;
  retainCleared = 0;
  wills = 0;
  forwarded = 0;
  sessionDropped = 0;
  retainedDropped = 0;

  constructor(registry: Registry, gauges: BrokerGauges) {
    const registers = [registry];
    this.refused = new Counter({
      name: "tidegate_broker_refused_total",
      help: "Packets and connections refused",
      labelNames: ["reason"],
      registers,
    });
    // At 0 from the start: an alarm can't tell a first refusal from a new process otherwise.
    for (const reason of refusalReasons) this.refused.inc({ reason }, 0);
    this.acknowledgementSeconds = new Histogram({
      name: "tidegate_broker_acknowledgement_seconds",
      help: "From PUBLISH read to acknowledgement written; one message per write is observed",
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    const counter = (name: string, help: string, read: () => number) =>
      new Counter({ name, help, registers, collect: collectFrom(read) });
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({ name, help, registers, collect: collectFrom(read) });
    gauge("tidegate_broker_connections", "Connected clients", gauges.connections);
    gauge("tidegate_broker_in_flight_messages", "Messages held until they are durable", gauges.inFlight);
    gauge(
      "tidegate_broker_slow_checks_waiting",
      "Passwords and wrong secrets that wait to be checked",
      () => gauges.slowChecks.waiting,
    );
    counter(
      "tidegate_broker_slow_checks_total",
      "Slow hashes computed for passwords and wrong secrets",
      () => gauges.slowChecks.count,
    );
    counter("tidegate_broker_acknowledged_total", "PUBACK and PUBREC written", () => this.acknowledged);
    counter(
      "tidegate_broker_repeated_total",
      "PUBREC written again for a message that was stored before; counted in acknowledged as well",
      () => this.repeated,
    );
    counter(
      "tidegate_broker_untaken_total",
      "PUBLISH packets that were read and not taken, since their connection had ended or was being ended",
      () => this.untaken,
    );
    counter(
      "tidegate_broker_plain_total",
      "Messages of ordinary publish/subscribe (mqtt.plainFilters), which no table gets",
      () => this.plain,
    );
    counter("tidegate_broker_retain_cleared_total", "Retain flags cleared", () => this.retainCleared);
    counter("tidegate_broker_wills_total", "Wills on telemetry topics", () => this.wills);
    counter("tidegate_broker_forwarded_total", "Durable messages given to subscribers", () => this.forwarded);
    counter(
      "tidegate_broker_session_dropped_total",
      "Messages that a persistent session's queue had no room for",
      () => this.sessionDropped,
    );
    counter(
      "tidegate_broker_retained_dropped_total",
      "Retained messages that were delivered but not kept, because too many are",
      () => this.retainedDropped,
    );
    new Counter({
      name: "tidegate_broker_received_total",
      help: "Telemetry messages read",
      labelNames: ["qos"],
      registers,
      collect: this.#collectReceived(),
    });
  }

  refuse(reason: RefusalReason): void {
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
    this.refused.inc({ reason });
  }

  refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  #collectReceived(): (this: Counter<"qos">) => void {
    const received = this.received;
    return function collect() {
      this.reset();
      for (const [index, value] of [received.qos0, received.qos1, received.qos2].entries())
        this.inc({ qos: String(index) }, value);
    };
  }
}

function collectFrom(read: () => number): (this: Counter | Gauge) => void {
  return function collect() {
    this.reset();
    this.inc(read());
  };
}
