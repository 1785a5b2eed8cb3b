import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { SimulatorError } from "../errors.ts";
import type { FaultShares } from "../scenario/faults.ts";
import { ConnectGate } from "./connect-gate.ts";
import { Connection, type ConnectionOptions, type ConnectionOwner, type Ending } from "./connection.ts";
import { type Disruption, Disruptions } from "./disruptions.ts";
import type { FleetCounters } from "./fleet-counters.ts";
import { Lane } from "./lane.ts";
import type { Publishing } from "./publishing.ts";
import type { Visits } from "./visits.ts";

export interface FleetOptions {
  readonly connections: number;
  /** New connections per second, also after all were lost at once. */
  readonly connectRate: number;
  /** Silence after which a connection with unacknowledged messages is given up and opened again. */
  readonly ackTimeoutMs: number;
  readonly faults: FaultShares;
  connection(number: number): ConnectionOptions;
}

/** Before a connection is opened again. */
const backoff = { baseMs: 200, maxMs: 5000 } as const;
/** From TCP's SYN to CONNACK. */
const connectTimeoutMs = 15_000;

/** Consecutive closes without any acknowledgement after which the run counts as refused. */
const refusalsMax = 6;

/** Local faults that do not pass by waiting, with their remedies. */
const localFaults: Readonly<Record<string, string>> = {
  EMFILE: "too many open files: raise the limit (ulimit -n) or use fewer --connections",
  ENFILE: "too many open files on this machine: use fewer --connections",
  EADDRNOTAVAIL: "no local ports left: use fewer --connections",
};

/**
 * All connections of a run. Throws nothing: a fault that makes the rest of the run pointless is in `fault`.
 */
export class Fleet implements ConnectionOwner {
  /** The fault that makes the rest of the run pointless, as soon as it is known. */
  fault: SimulatorError | null = null;
  readonly #options: FleetOptions;
  readonly #counters: FleetCounters;
  readonly #random: () => number;
  readonly #connections: Connection[];
  readonly #gate: ConnectGate<Connection>;
  readonly #retries = new Set<NodeJS.Timeout>();
  readonly #dirty: Connection[] = [];
  readonly #disruptions: Disruptions;
  #publishing: Publishing | null = null;
  #visits: Visits | null = null;
  #open = 0;
  #everOpen = 0;
  #isLeaving = false;
  #lastError: string | null = null;
  /** Messages below this index were handed to their connections. */
  #offered = 0;

  constructor(options: FleetOptions, counters: FleetCounters, random: () => number) {
    this.#options = options;
    this.#counters = counters;
    this.#random = random;
    this.#connections = Array.from(
      { length: options.connections },
      (_, number) => new Connection(number, options.connection(number), this),
    );
    this.#disruptions = new Disruptions(options.faults, options.connections, random);
    this.#gate = new ConnectGate(options.connectRate);
    for (const connection of this.#connections) this.#gate.enter(connection);
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#open;
  }

  /** The error of the last connection that failed, for messages to people. */
  get lastError(): string | null {
    return this.#lastError;
  }

  /** Connections that were open at least once. */
  get everOpen(): number {
    return this.#everOpen;
  }

  get unacked(): number {
    return this.#connections.reduce(
      (sum, { lane }) => sum + (lane?.unacked ?? 0),
      this.#visits?.pending ?? 0,
    );
  }

  /** True if some message below `index` was not published yet. */
  isBehind(index: number): boolean {
    return this.#connections.some(({ lane }) => lane?.isBehind(index) ?? index > 0);
  }

  /** From now on, publishes due messages. */
  begin(publishing: Publishing, visits: Visits): void {
    this.#publishing = publishing;
    this.#visits = visits;
    for (const connection of this.#connections) connection.lane = new Lane(connection.number, publishing);
  }

  /** Call this every few ms. Opens connections whose turn has come, and publishes due messages. */
  tick(nowMs: number): void {
    for (const connection of this.#gate.admit(nowMs)) connection.open();
    const publishing = this.#publishing;
    if (!publishing) return;
    this.#visits?.tick(nowMs);
    for (; this.#offered < publishing.dueCount; this.#offered++) {
      const connection = this.#connections[publishing.plan.connection(this.#offered)] as Connection;
      if (connection.isDirty) continue;
      connection.isDirty = true;
      this.#dirty.push(connection);
    }
    for (const connection of this.#dirty) {
      connection.isDirty = false;
      connection.pump(nowMs);
    }
    this.#dirty.length = 0;
  }

  /** Call this every few seconds. */
  check(nowMs: number): void {
    const limits = { connectMs: connectTimeoutMs, ackMs: this.#options.ackTimeoutMs };
    for (const connection of this.#connections) connection.check(nowMs, limits);
  }

  /** Applies the faults of that time to connections. */
  disrupt(elapsedMs: number): void {
    const isOpen = (number: number) => this.#connections[number]?.isOpen === true;
    for (const { kind, connection } of this.#disruptions.due(elapsedMs, isOpen))
      this.#disrupt(kind, this.#connections[connection] as Connection);
  }

  #disrupt(kind: Disruption, connection: Connection): void {
    switch (kind) {
      case "disconnect":
        this.#counters.cuts++;
        connection.cut();
        break;
      case "takeover":
        this.#counters.takeovers++;
        this.#open--;
        connection.takeOver();
        break;
      case "reboot":
        this.#counters.reboots++;
        connection.reboot({ atPubrec: this.#disruptions.toss(), keepsMessages: this.#disruptions.toss() });
        break;
      default:
        kind satisfies never;
    }
  }

  /**
   * Gives up unacknowledged messages and closes all connections. Resolves when they are closed, or when the
   * time is up.
   */
  async leave(timeoutMs: number): Promise<void> {
    this.#isLeaving = true;
    this.#gate.clear();
    for (const retry of this.#retries) clearTimeout(retry);
    this.#visits?.leave();
    for (const connection of this.#connections) {
      connection.lane?.giveUp();
      connection.leave();
    }
    const deadlineMs = performance.now() + timeoutMs;
    while (this.#open > 0 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 5));
    for (const connection of this.#connections) connection.cut();
  }

  onOpen(connection: Connection): void {
    this.#open++;
    if (connection.wasOpen) this.#counters.reconnects++;
    else this.#everOpen++;
    connection.wasOpen = true;
  }

  onEnd(connection: Connection, ending: Ending, wasOpen: boolean): void {
    if (wasOpen) this.#open--;
    if (this.#isLeaving) return;
    this.#judge(connection, ending, wasOpen);
    const delayMs = fullJitterDelayMs(connection.failures++, backoff, this.#random);
    const retry = setTimeout(() => {
      this.#retries.delete(retry);
      this.#gate.enter(connection);
    }, delayMs);
    this.#retries.add(retry);
  }

  #judge(connection: Connection, ending: Ending, wasOpen: boolean): void {
    switch (ending.kind) {
      case "refused":
        this.#counters.refusedConnects++;
        this.#lastError = `the gateway refused the connection: ${connackReasons[ending.returnCode] ?? `return code ${ending.returnCode}`}`;
        if (this.#everOpen === 0 && ending.returnCode !== serverUnavailable)
          this.#fail("SIMULATE_REFUSED", this.#lastError);
        return;
      case "error":
        this.#visits?.noteTrouble(performance.now());
        this.#counters.networkErrors++;
        this.#lastError = ending.error.message;
        if (localFaults[ending.error.code ?? ""])
          this.#fail("SIMULATE_USAGE", localFaults[ending.error.code ?? ""] as string);
        break;
      case "violated":
        this.#counters.networkErrors++;
        this.#lastError = ending.fault;
        break;
      case "silent":
        this.#counters.timeouts++;
        this.#lastError = "the gateway was silent for too long";
        return;
      case "closed":
        this.#visits?.noteTrouble(performance.now());
        if (!wasOpen) this.#lastError = "the gateway closed the connection before its CONNACK";
        break;
      case "cut":
        return;
      default:
        ending satisfies never;
    }
    if (wasOpen && (connection.lane?.unacked ?? 0) > 0) this.#refusedPublishes(connection);
  }

  #refusedPublishes(connection: Connection): void {
    this.#counters.refusedPublishes++;
    connection.refusals++;
    if (this.#counters.acked > 0 || connection.refusals < refusalsMax) return;
    this.#fail(
      "SIMULATE_REFUSED",
      `the gateway closed ${this.#counters.refusedPublishes} connections during publishing, and acknowledged nothing: check that a topic accepts this --topic, --qos and --payload-bytes (tidegate topics list), and the gateway's log`,
    );
  }

  #fail(code: "SIMULATE_REFUSED" | "SIMULATE_USAGE", text: string): void {
    this.fault ??= new SimulatorError(code, text, { retryable: false });
  }
}

const serverUnavailable = 3;

/** MQTT 3.1.1, table 3.1. */
const connackReasons: Readonly<Record<number, string>> = {
  1: "it does not support MQTT 3.1.1",
  2: "it does not accept the client identifier",
  3: "it is not available now",
  4: "wrong user name or password (--username, --password-file)",
  5: "not authorized (--username, --password-file)",
};
