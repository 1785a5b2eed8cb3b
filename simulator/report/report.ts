import type { Histogram } from "hdr-histogram-js";
import type { FleetCounters } from "../fleet/fleet-counters.ts";

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** What a run came to. Rates are messages per second; latencies ms. */
export interface RunReport {
  readonly runId: string;
  readonly ledger: string;
  readonly devices: number;
  readonly connections: number;
  readonly qos: 0 | 1;
  readonly seed: number;
  /** From the start of the run to its last message or acknowledgement. */
  readonly elapsedS: number;
  readonly planned: number;
  readonly sent: number;
  readonly acked: number;
  /** Sent, and unacknowledged when the run ended. */
  readonly gaveUp: number;
  /** Planned and never sent: the gateway took less than was offered, or the run was stopped. */
  readonly unsent: number;
  readonly poison: number;
  readonly resent: number;
  readonly copies: number;
  /** Connections refused by CONNACK, and ended by the gateway while publishes were unacknowledged. */
  readonly refused: number;
  readonly reconnects: number;
  readonly cuts: number;
  readonly timeouts: number;
  readonly networkErrors: number;
  readonly strayAcks: number;
  readonly offeredRate: number;
  readonly achievedRate: number;
  /** From the first write of a message to its PUBACK. */
  readonly ackMs: Percentiles;
  /** From the moment a message was due to its PUBACK. */
  readonly dueToAckMs: Percentiles;
  readonly cpuS: number;
  readonly cpuUsPerMessage: number;
  readonly wasStopped: boolean;
  /** True where every planned message was sent, and acknowledged if QoS 1. */
  readonly isWhole: boolean;
}

function percentiles(histogram: Histogram): Percentiles {
  const ms = (us: number): number => Math.round(us / 10) / 100;
  return {
    p50: ms(histogram.getValueAtPercentile(50)),
    p90: ms(histogram.getValueAtPercentile(90)),
    p99: ms(histogram.getValueAtPercentile(99)),
    max: ms(histogram.maxValue),
  };
}

export type RunFacts = Pick<
  RunReport,
  | "runId"
  | "ledger"
  | "devices"
  | "connections"
  | "qos"
  | "seed"
  | "elapsedS"
  | "planned"
  | "poison"
  | "cpuS"
  | "wasStopped"
> & { readonly offeredRate: number };

export function reportOf(facts: RunFacts, counters: FleetCounters): RunReport {
  const done = facts.qos === 1 ? counters.acked : counters.sent;
  return {
    ...facts,
    sent: counters.sent,
    acked: counters.acked,
    gaveUp: counters.gaveUp,
    unsent: facts.planned - counters.sent,
    resent: counters.resent,
    copies: counters.copies,
    refused: counters.refusedConnects + counters.refusedPublishes,
    reconnects: counters.reconnects,
    cuts: counters.cuts,
    timeouts: counters.timeouts,
    networkErrors: counters.networkErrors,
    strayAcks: counters.strayAcks,
    achievedRate: facts.elapsedS > 0 ? Math.round(done / facts.elapsedS) : 0,
    ackMs: percentiles(counters.ackLatency),
    dueToAckMs: percentiles(counters.dueLatency),
    cpuUsPerMessage: counters.sent > 0 ? Math.round((facts.cpuS * 1e8) / counters.sent) / 100 : 0,
    isWhole: done === facts.planned,
  };
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(14)}${text}\n`;
}

function percentileText({ p50, p90, p99, max }: Percentiles): string {
  return `p50 ${p50} ms · p90 ${p90} ms · p99 ${p99} ms · max ${max} ms`;
}

/** For people. */
export function reportText(report: RunReport): string {
  const lines = [
    `run ${report.runId}: ${report.devices} devices on ${report.connections} connections, QoS ${report.qos}, seed ${report.seed}\n`,
    line(
      "messages",
      `${report.sent} of ${report.planned} sent, ${report.acked} acknowledged, ${report.gaveUp} given up, ${report.unsent} never sent`,
    ),
    line(
      "rate",
      `${report.achievedRate} of ${Math.round(report.offeredRate)} msg/s offered, in ${report.elapsedS.toFixed(1)} s`,
    ),
  ];
  if (report.qos === 1)
    lines.push(
      line("PUBACK", percentileText(report.ackMs)),
      line("due to PUBACK", percentileText(report.dueToAckMs)),
    );
  lines.push(
    line(
      "connections",
      `${report.refused} refused, ${report.reconnects} opened again, ${report.cuts} cut on purpose, ${report.timeouts} silent, ${report.networkErrors} network errors`,
    ),
    line(
      "again",
      `${report.resent} resent after a lost connection, ${report.copies} copies on purpose, ${report.poison} poison`,
    ),
    line("own CPU", `${report.cpuS.toFixed(1)} s, ${report.cpuUsPerMessage} µs per message`),
    line("ledger", report.ledger),
  );
  return lines.join("");
}
