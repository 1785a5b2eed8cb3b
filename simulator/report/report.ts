import type { Histogram } from "hdr-histogram-js";
import type { FleetCounters } from "../fleet/fleet-counters.ts";
import type { Qos } from "../scenario/scenario.ts";
import type { TopicChangeCounts } from "../topics/topic-changes.ts";

export interface Percentiles {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** The results of a run. Rates are messages per second; latencies ms. */
export interface RunReport {
  readonly runId: string;
  readonly ledger: string;
  readonly devices: number;
  readonly connections: number;
  readonly qos: Qos;
  readonly seed: number;
  /** From the start of the run to its last message or acknowledgement. */
  readonly elapsedS: number;
  readonly planned: number;
  readonly sent: number;
  readonly acked: number;
  /** Sent, and unacknowledged when the run ended. */
  readonly gaveUp: number;
  /** Planned and never sent: the gateway accepted fewer than were offered, or the run was stopped. */
  readonly unsent: number;
  readonly poison: number;
  /** Given up on purpose, by the fault `reboot` and by devices that left before an answer. */
  readonly forgotten: number;
  /** Left with a gateway that stayed up, if no acknowledgement can come. */
  readonly delivered: number;
  readonly resent: number;
  readonly copies: number;
  /**
   * Connections refused by CONNACK, and connections that the gateway ended while publishes were
   * unacknowledged.
   */
  readonly refused: number;
  readonly reconnects: number;
  readonly cuts: number;
  readonly takeovers: number;
  readonly reboots: number;
  /** Topics that the fault `topics` created, changed and deleted. */
  readonly topics: TopicChangeCounts;
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
  /** True if every planned message was sent, and acknowledged if an acknowledgement can come. */
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
  | "topics"
> & { readonly offeredRate: number };

export function reportOf(facts: RunFacts, counters: FleetCounters): RunReport {
  const done = counters.settled;
  return {
    ...facts,
    sent: counters.sent,
    acked: counters.acked,
    gaveUp: counters.gaveUp,
    unsent: facts.planned - counters.sent,
    forgotten: counters.forgotten,
    delivered: counters.delivered,
    resent: counters.resent,
    copies: counters.copies,
    refused: counters.refusedConnects + counters.refusedPublishes,
    reconnects: counters.reconnects,
    cuts: counters.cuts,
    takeovers: counters.takeovers,
    reboots: counters.reboots,
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
  if (report.acked > 0)
    lines.push(
      line("PUBACK", percentileText(report.ackMs)),
      line("due to PUBACK", percentileText(report.dueToAckMs)),
    );
  lines.push(
    line(
      "connections",
      `${report.refused} refused, ${report.reconnects} opened again, ${report.cuts + report.takeovers + report.reboots} cut, taken over or restarted on purpose, ${report.timeouts} silent, ${report.networkErrors} network errors`,
    ),
    line(
      "again",
      `${report.resent} resent after a lost connection, ${report.copies} copies on purpose, ${report.poison} poison`,
    ),
    ...(report.forgotten + report.delivered === 0
      ? []
      : [
          line(
            "no answer",
            `${report.delivered} left with a gateway that stayed up, ${report.forgotten} forgotten`,
          ),
        ]),
    line("own CPU", `${report.cpuS.toFixed(1)} s, ${report.cpuUsPerMessage} µs per message`),
    line("ledger", report.ledger),
  );
  return lines.join("");
}
