import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SimulatorError } from "./errors.ts";
import type { GatewayAddress } from "./fleet/connection.ts";
import { Fleet } from "./fleet/fleet.ts";
import { FleetClients } from "./fleet/fleet-clients.ts";
import { FleetCounters } from "./fleet/fleet-counters.ts";
import { InFlight } from "./fleet/in-flight.ts";
import { PublishEncoder } from "./fleet/publish-encoder.ts";
import type { Publishing } from "./fleet/publishing.ts";
import { Visits } from "./fleet/visits.ts";
import { LedgerWriter, prepareLedgerFolder } from "./ledger/ledger-writer.ts";
import type { Progress } from "./report/progress.ts";
import { type RunReport, reportOf } from "./report/report.ts";
import { MessagePlan } from "./scenario/message-plan.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { seededSequence } from "./scenario/seeded-hash.ts";
import { RunAdmin } from "./topics/run-admin.ts";
import type { TopicApiAddress } from "./topics/topic-api.ts";

export interface SimulateOptions {
  readonly scenario: Scenario;
  readonly ledgerFolder: string;
  /** Adds the run to a ledger folder that already holds runs. */
  readonly append: boolean;
  /** Addresses of gateways, at least one; connections are spread over them. */
  readonly gateways: readonly GatewayAddress[];
  readonly username?: string;
  readonly password?: Uint8Array;
  /** The API on which missing topics are created. */
  readonly api?: TopicApiAddress;
  /** Dedupe window of created topics; undefined = the gateway's default. */
  readonly topicWindowMs?: number;
  /** Unacknowledged messages of one connection. */
  readonly window: number;
  readonly connectRate: number;
  /** How long to wait for the first connection. */
  readonly connectWaitMs: number;
  readonly ackTimeoutMs: number;
  /** Time after the last message was due, for messages that are unsent or unacknowledged. */
  readonly drainMs: number;
}

/** Interval of looking for due messages. Messages of one connection that fall due in it share a write. */
const tickMs = 5;
const checkEveryMs = 2000;
const flushEveryMs = 250;
/** Wait this long for late connections after the time at which all should be open. */
const stragglersMs = 10_000;
const leaveMs = 5000;
const cutStream = 3;
const visitStream = 4;

function mqttUrlsOf(gateways: readonly GatewayAddress[]): string {
  return gateways.map(({ host, port }) => `mqtt://${host}:${port}`).join(",");
}

/** 8 random bytes as text. */
export function newRunId(): string {
  return randomBytes(8).toString("base64url");
}

/**
 * Runs a fleet and keeps its ledger. Resolves when everything is sent and acknowledged, or when the time to
 * drain is up. After `stop` aborts, resolves when sent messages are acknowledged.
 *
 * Throws SimulatorError if nothing could be published, or if the ledger could not be written.
 */
export async function simulate(
  options: SimulateOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<RunReport> {
  prepareLedgerFolder(options.ledgerFolder, options.append);
  const run = new Run(options, progress, stop);
  return run.play();
}

class Run {
  readonly #options: SimulateOptions;
  readonly #plan: MessagePlan;
  readonly #counters = new FleetCounters();
  readonly #inFlight: InFlight;
  readonly #clients: FleetClients;
  readonly #fleet: Fleet;
  readonly #admin: RunAdmin;
  readonly #progress: Progress;
  readonly #stop: AbortSignal;
  readonly #cpuAtStart = process.cpuUsage();
  #checkedAtMs = performance.now();
  #flushedAtMs = performance.now();

  constructor(options: SimulateOptions, progress: Progress, stop: AbortSignal) {
    const { scenario } = options;
    this.#options = options;
    this.#progress = progress;
    this.#stop = stop;
    this.#plan = new MessagePlan(scenario);
    this.#admin = new RunAdmin(this.#plan.shapes, {
      api: options.api,
      dedupeWindowMs: options.topicWindowMs,
      patienceMs: options.connectWaitMs,
      changeShare: scenario.faults.topics,
    });
    this.#inFlight = new InFlight(scenario.connections, options.window);
    this.#clients = new FleetClients(options, this.#plan);
    this.#fleet = new Fleet(
      {
        connections: scenario.connections,
        connectRate: options.connectRate,
        ackTimeoutMs: options.ackTimeoutMs,
        faults: scenario.faults,
        connection: (number) => this.#clients.connection(number),
      },
      this.#counters,
      seededSequence(scenario.seed, cutStream),
    );
  }

  async play(): Promise<RunReport> {
    try {
      await this.#admin.prepare();
      await this.#connect();
      const startedAtMs = Date.now();
      const { scenario, ledgerFolder, gateways } = this.#options;
      const ledger = new LedgerWriter(ledgerFolder, {
        startedAtMs,
        mqttUrl: mqttUrlsOf(gateways),
        scenario,
      });
      const { publishing, visits } = this.#publishing(ledger, startedAtMs);
      this.#fleet.begin(publishing, visits);
      const endedAtMs = await this.#publish(publishing);
      await this.#admin.settled();
      await this.#fleet.leave(leaveMs);
      ledger.close();
      return this.#report(endedAtMs - publishing.startedAtMs);
    } finally {
      this.#progress.stop();
      await this.#fleet.leave(0);
    }
  }

  #publishing(ledger: LedgerWriter, startedAtMs: number): { publishing: Publishing; visits: Visits } {
    const { scenario } = this.#options;
    const parts = {
      plan: this.#plan,
      encoder: new PublishEncoder(this.#plan, startedAtMs),
      ledger,
      counters: this.#counters,
    };
    const visits = new Visits({
      ...parts,
      startedAtMs,
      connection: (index) => this.#clients.visitor(index),
      random: seededSequence(scenario.seed, visitStream),
    });
    const progress = { inFlight: this.#inFlight, visits, startedAtMs: performance.now(), dueCount: 0 };
    return { publishing: { ...parts, ...progress }, visits };
  }

  /** Waits until all connections are open. Continues without the late ones if some are open. */
  async #connect(): Promise<void> {
    const { connectWaitMs, connectRate, scenario } = this.#options;
    const beganAtMs = performance.now();
    const rampMs = (scenario.connections / connectRate) * 1000;
    while (this.#fleet.open < scenario.connections) {
      const waitedMs = performance.now() - beganAtMs;
      if (this.#stop.aborted) throw this.#unreachable("stopped before a message was published");
      if (this.#fleet.everOpen === 0 && waitedMs > connectWaitMs)
        throw this.#unreachable(`no connection in ${connectWaitMs / 1000} s`);
      if (this.#fleet.everOpen > 0 && waitedMs > rampMs + stragglersMs) return;
      this.#turn();
      const text = `connections open${this.#fleet.lastError ? ` (${this.#fleet.lastError})` : ""}`;
      this.#progress.show({ done: this.#fleet.open, total: scenario.connections, text });
      await sleep(tickMs);
    }
  }

  #unreachable(what: string): SimulatorError {
    const last = this.#fleet.lastError ? `: ${this.#fleet.lastError}` : "";
    return new SimulatorError(
      "SIMULATE_UNREACHABLE",
      `${mqttUrlsOf(this.#options.gateways)}: ${what}${last}. Start the gateway there (tidegate up), or name another address with --mqtt mqtt://HOST:PORT`,
      { retryable: true },
    );
  }

  /**
   * Publishes until all messages are acknowledged, the time is up, or `stop` aborts. Resolves with the time
   * of the end.
   */
  async #publish(publishing: Publishing): Promise<number> {
    const { drainMs, scenario } = this.#options;
    const { total } = this.#plan;
    const deadlineMs = publishing.startedAtMs + (total / scenario.rate) * 1000 + drainMs;
    let stopDeadlineMs = Number.POSITIVE_INFINITY;
    let tickedAtMs = publishing.startedAtMs;
    for (;;) {
      const nowMs = performance.now();
      if (this.#stop.aborted) {
        stopDeadlineMs = Math.min(stopDeadlineMs, nowMs + drainMs);
        publishing.dueCount = 0;
      } else publishing.dueCount = this.#plan.dueCount(nowMs - publishing.startedAtMs);
      this.#turn();
      if (!this.#stop.aborted) this.#disrupt(nowMs - tickedAtMs);
      tickedAtMs = nowMs;
      this.#flush(publishing.ledger, nowMs);
      if (publishing.ledger.fault) throw publishing.ledger.fault;
      this.#showProgress(publishing, nowMs);
      if (nowMs > Math.min(deadlineMs, stopDeadlineMs) || this.#isDone(publishing)) return nowMs;
      await sleep(tickMs);
    }
  }

  #disrupt(elapsedMs: number): void {
    this.#fleet.disrupt(elapsedMs);
    this.#admin.act(elapsedMs);
  }

  #isDone({ dueCount }: Publishing): boolean {
    if (this.#stop.aborted) return this.#fleet.unacked === 0;
    if (dueCount < this.#plan.total || this.#counters.sent < dueCount) return false;
    return this.#fleet.unacked === 0 && !this.#fleet.isBehind(dueCount);
  }

  /** One turn of the fleet. Throws faults that make the rest of the run pointless. */
  #turn(): void {
    const nowMs = performance.now();
    this.#fleet.tick(nowMs);
    if (nowMs - this.#checkedAtMs > checkEveryMs) {
      this.#checkedAtMs = nowMs;
      this.#fleet.check(nowMs);
    }
    if (this.#fleet.fault) throw this.#fleet.fault;
  }

  #flush(ledger: LedgerWriter, nowMs: number): void {
    if (nowMs - this.#flushedAtMs < flushEveryMs) return;
    this.#flushedAtMs = nowMs;
    ledger.flush();
  }

  #showProgress(publishing: Publishing, nowMs: number): void {
    const { sent, acked, reconnects } = this.#counters;
    const elapsedS = (nowMs - publishing.startedAtMs) / 1000;
    const done = this.#counters.settled;
    const rate = elapsedS > 0 ? Math.round(done / elapsedS) : 0;
    const text = `${rate} msg/s · ${sent} sent · ${acked} acknowledged · ${this.#fleet.open} connections · ${reconnects} reconnects`;
    this.#progress.show({ done, total: this.#plan.total, text });
  }

  #report(elapsedMs: number): RunReport {
    const { scenario, ledgerFolder } = this.#options;
    const { user, system } = process.cpuUsage(this.#cpuAtStart);
    return reportOf(
      {
        runId: scenario.runId,
        ledger: ledgerFolder,
        devices: scenario.devices,
        connections: scenario.connections,
        qos: scenario.qos,
        seed: scenario.seed,
        offeredRate: scenario.rate,
        elapsedS: Math.round(elapsedMs) / 1000,
        planned: this.#plan.total,
        poison: this.#counters.poison,
        cpuS: Math.round((user + system) / 1000) / 1000,
        wasStopped: this.#stop.aborted,
        topics: this.#admin.counts,
      },
      this.#counters,
    );
  }
}
