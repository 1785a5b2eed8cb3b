import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { refusals } from "./refusal.ts";

export interface IngestGauges {
  readonly inFlight: () => number;
  readonly slowChecks: { readonly count: number; readonly waiting: number };
}

/** Counters of all front ends together. Counters on the hot path are plain numbers that a scrape collects. */
export class IngestMetrics {
  readonly acknowledgementSeconds: Histogram;
  readonly #refused: Counter<"reason">;
  readonly #counts = new Map<string, number>();
  received = { qos0: 0, qos1: 0, qos2: 0 };
  acknowledged = 0;
  untaken = 0;

  constructor(registry: Registry, gauges: IngestGauges) {
    const registers = [registry];
    this.#refused = new Counter({
      name: "tidegate_broker_refused_total",
      help: "Packets and connections refused",
      labelNames: ["reason"],
      registers,
    });
    this.declareRefusals(Object.keys(refusals));
    this.acknowledgementSeconds = new Histogram({
      name: "tidegate_broker_acknowledgement_seconds",
      help: "From a message read to its acknowledgement written; one message per write is observed",
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
      registers,
    });
    const counter = (name: string, help: string, read: () => number) =>
      new Counter({ name, help, registers, collect: collectFrom(read) });
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({ name, help, registers, collect: collectFrom(read) });
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
    counter("tidegate_broker_acknowledged_total", "Acknowledgements written", () => this.acknowledged);
    counter(
      "tidegate_broker_untaken_total",
      "Messages that were read and not accepted, because their connection had ended or was being ended",
      () => this.untaken,
    );
    new Counter({
      name: "tidegate_broker_received_total",
      help: "Telemetry messages read",
      labelNames: ["qos"],
      registers,
      collect: this.#collectReceived(),
    });
  }

  /** At 0 from the start: otherwise an alarm cannot tell a first refusal from a new process. */
  declareRefusals(codes: readonly string[]): void {
    for (const reason of codes) this.#refused.inc({ reason }, 0);
  }

  refuse(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
    this.#refused.inc({ reason: code });
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

/** For a counter or gauge whose value is kept elsewhere. */
export function collectFrom(read: () => number): (this: Counter | Gauge) => void {
  return function collect() {
    this.reset();
    this.inc(read());
  };
}
