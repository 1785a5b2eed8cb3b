import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { SimulatorError } from "./errors.ts";
import type { ConnectionOptions, GatewayAddress } from "./fleet/connection.ts";
import { Fleet } from "./fleet/fleet.ts";
import { FleetCounters } from "./fleet/fleet-counters.ts";
import { InFlight } from "./fleet/in-flight.ts";
import { PublishEncoder } from "./fleet/publish-encoder.ts";
import type { Publishing } from "./fleet/publishing.ts";
import { Visits } from "./fleet/visits.ts";
import { LedgerWriter, prepareLedgerFolder } from "./ledger/ledger-writer.ts";
import type { Progress } from "./report/progress.ts";
import { type RunReport, reportOf } from "./report/report.ts";
import { namesDevice } from "./scenario/message-names.ts";
import { MessagePlan } from "./scenario/message-plan.ts";
import type { Scenario } from "./scenario/scenario.ts";
import { seededSequence } from "./scenario/seeded-hash.ts";
import { RunAdmin } from "./topics/run-admin.ts";
import type { TopicApiAddress } from "./topics/topic-api.ts";

export interface SimulateOptions {
  readonly scenario: Scenario;
  readonly ledgerFolder: string;
  /** Adds the run to a ledger folder that holds others. */
  readonly append: boolean;
  /** Where gateways listen, one at least; the connections spread over them. */
  readonly gateways: readonly GatewayAddress[];
  readonly username?: string;
  readonly password?: Uint8Array;
  /** Where topics that are missing can be created. */
  readonly api?: TopicApiAddress;
  /** Dedupe window of those; undefined = the gateway's own. */
  readonly topicWindowMs?: number;
  /** Unacknowledged messages of one connection. */
  readonly window: number;
  readonly connectRate: number;
  /** How long to wait for the first connection. */
  readonly connectWaitMs: number;
  readonly ackTimeoutMs: number;
  /** After the last message was due: for what is unsent or unacknowledged. */
  readonly drainMs: number;
}

/** Between looks at what became due. Messages that fall due for one connection in it share a write. */
const tickMs = 5;
const checkEveryMs = 2000;
const flushEveryMs = 250;
/** Once every connection should have been open, late ones are not waited for any longer than this. */
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
 * Runs a fleet and keeps its ledger. Resolves with what it came to when everything is sent and acknowledged, when the time to drain is
 * up, or, after `stop` aborts, when what was sent is acknowledged. Throws SimulatorError where nothing could be published, or not
 * written down.
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
    this.#fleet = new Fleet(
      {
        connections: scenario.connections,
        connectRate: options.connectRate,
        ackTimeoutMs: options.ackTimeoutMs,
        faults: scenario.faults,
        connection: (number) => ({
          ...this.#credentials(),
          gateways: options.gateways,
          clientId: this.#clientId(number),
          isPersistent: this.#plan.roles.isPersistent(number),
        }),
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
      connection: (index) => this.#visitor(index),
      random: seededSequence(scenario.seed, visitStream),
    });
    const progress = { inFlight: this.#inFlight, visits, startedAtMs: performance.now(), dueCount: 0 };
    return { publishing: { ...parts, ...progress }, visits };
  }

  /** Until all connections are open. Goes on without stragglers where some are. */
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
      `${mqttUrlsOf(this.#options.gateways)}: ${what}${last}. Is the gateway running there (tidegate up)? Another address is --mqtt mqtt://HOST:PORT`,
      { retryable: true },
    );
  }

  /** Publishes until all is acknowledged, the time is up, or it is stopped. Resolves with when that was. */
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

  /** One turn of the fleet. Throws what makes going on pointless. */
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

  #credentials(): { username?: string; password?: Uint8Array } {
    const { username, password } = this.#options;
    return {
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
    };
  }

  /** A message on a connection of its own comes under a client identifier of its own. */
  #visitor(index: number): ConnectionOptions {
    const { scenario, username, gateways } = this.#options;
    const suffix = `${scenario.runId}-v${index.toString(36)}`;
    const clientId = username === undefined ? `simulator-${suffix}` : `${username}/${suffix}`;
    return { ...this.#credentials(), gateways, clientId };
  }

  /** Without `{device}` in the topic the client identifier is the device; with credentials it begins with the identity. */
  #clientId(connection: number): string {
    const { scenario, username } = this.#options;
    if (!namesDevice(scenario.filter))
      return this.#plan.names.deviceId(this.#plan.device(this.#plan.first(connection)));
    const suffix = `${scenario.runId}-${connection}`;
    return username === undefined ? `simulator-${suffix}` : `${username}/${suffix}`;
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
