import type { Logger } from "pino";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type { GatewayMetrics } from "../metrics.ts";
import { completeCommands } from "../settings/command-flags.ts";
import { placesOf } from "./gateway-places.ts";
import { type CommittedPositions, type FromChild, type RoleName, roleNames } from "./messages.ts";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";
import { writeProcessRecord } from "./process-record.ts";
import { type ChildStatus, SupervisedChild } from "./supervised-child.ts";

export interface SupervisorOptions {
  readonly config: GatewayConfig;
  /** The program that is forked with a role as its argument. */
  readonly program: string;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
  /** The open data folder, which children hold open as well: see `killLeftChildren`. */
  readonly folderDescriptor: number;
  readonly random: () => number;
  readonly now: () => number;
}

const refreshTimeoutMs = 10_000;

/** A stream that lost blocks waits for a person, who needs the running gateway to see what is wrong. */
const refusalsToLiveWith = new Set(["STREAM_GAP"]);

/** Runs the broker and the consumer. The caller holds the data folder's lock and has killed what an earlier supervisor left. */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #children = new Map<RoleName, SupervisedChild>();
  readonly #identities = new Map<RoleName, ProcessIdentity>();
  readonly #self: ProcessIdentity;
  #apiAddress: string | null = null;
  #isStopping = false;
  #wasReady = false;
  #committed: CommittedPositions | null = null;
  readonly #started: Promise<void>;
  #settleStarted: { resolve: () => void; reject: (error: Error) => void } = {
    resolve: () => {},
    reject: () => {},
  };

  constructor(options: SupervisorOptions) {
    this.#options = options;
    this.#self = identifyProcess(process.pid) ?? { pid: process.pid, startTicks: "", bootId: "" };
    this.#started = new Promise((resolve, reject) => {
      this.#settleStarted = { resolve, reject };
    });
    // Whoever waits for it gets the rejection; nobody has to.
    this.#started.catch(() => {});
    this.#record();
    for (const role of roleNames)
      if (options.config.roles.includes(role)) this.#children.set(role, this.#child(role));
  }

  /** Resolves when all children were ready for the first time; rejects with CHILD_FAILED where one says that it can't start. */
  start(apiAddress: string): Promise<void> {
    this.#apiAddress = apiAddress;
    this.#record();
    for (const child of this.#children.values()) child.start();
    return this.#started;
  }

  /** null where this gateway does not run it. */
  child(role: RoleName): SupervisedChild | null {
    return this.#children.get(role) ?? null;
  }

  statuses(): ChildStatus[] {
    return [...this.#children.values()].map((child) => child.status);
  }

  /** Processes that run and do nothing, for people. */
  silences(): string[] {
    return this.statuses().flatMap(silenceOf);
  }

  readiness(): { isReady: boolean; reasons: string[] } {
    if (this.#isStopping) return { isReady: false, reasons: ["the gateway is stopping"] };
    const reasons = this.statuses().flatMap((status) => reasonNotReady(status));
    return { isReady: reasons.length === 0, reasons };
  }

  /**
   * Stops accepting, lets the consumer file what is in the stream, ends. True where all of it was done within `timeoutMs`; what was not
   * filed is in the stream and is filed after the next start.
   */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#isStopping = true;
    const deadlineMs = performance.now() + timeoutMs;
    const hasSettled = (await this.child("broker")?.stop(timeoutMs / 2)) ?? true;
    const leftMs = Math.max(0, deadlineMs - performance.now());
    const hasFiled = (await this.child("consumer")?.stop(leftMs)) ?? true;
    return hasSettled && hasFiled;
  }

  killAll(): void {
    this.#isStopping = true;
    for (const child of this.#children.values()) child.kill();
  }

  #child(role: RoleName): SupervisedChild {
    const { config, program, folderDescriptor, logger, random, now } = this.#options;
    return new SupervisedChild({
      role,
      config,
      program,
      folderDescriptor,
      logger,
      random,
      now,
      onProcess: (identity) => {
        if (identity) this.#identities.set(role, identity);
        else this.#identities.delete(role);
        this.#record();
      },
      onMessage: (message) => this.#receive(role, message),
      onChange: () => this.#changed(role),
      onHang: () => this.#options.metrics.childHangs.inc({ child: role }),
    });
  }

  #receive(role: RoleName, message: FromChild): void {
    if (message.type === "committed") this.#relay(message.committed);
    if (message.type === "ready" && role === "broker") this.#catchUpBroker();
    if (message.type === "refused" && message.refusal.code === "CONSUMER_STUCK")
      this.#options.metrics.childHangs.inc({ child: role });
    if (message.type !== "refused" || this.#wasReady || this.#isStopping) return;
    const { code, retryable, message: text } = message.refusal;
    if (retryable || refusalsToLiveWith.has(code)) return;
    const cause = completeCommands(text, this.#options.config.flags);
    this.#settleStarted.reject(
      new GatewayError("CHILD_FAILED", `The ${role} can't start (${code}): ${cause}`, {
        retryable: false,
        details: { role, code },
      }),
    );
  }

  #relay(committed: CommittedPositions): void {
    const earlier = this.#committed?.streamId === committed.streamId ? this.#committed.positions : {};
    this.#committed = { streamId: committed.streamId, positions: { ...earlier, ...committed.positions } };
    this.child("broker")?.committed(committed);
  }

  /** Commits and topics may have changed between its reading them and its being ready. */
  #catchUpBroker(): void {
    const broker = this.child("broker");
    if (!broker) return;
    if (this.#committed) broker.committed(this.#committed);
    broker
      .request("topicsChanged", null, refreshTimeoutMs)
      .catch((error: unknown) =>
        this.#options.logger.warn({ event: "registry.notice.failed", err: error }, "topics not refreshed"),
      );
  }

  #changed(role: RoleName): void {
    const { metrics } = this.#options;
    const state = this.child(role)?.status.state;
    metrics.childUp.set({ child: role }, state === "ready" ? 1 : 0);
    if (state === "waiting") metrics.childRestarts.inc({ child: role });
    if (this.#wasReady || !this.statuses().every((status) => status.state === "ready")) return;
    this.#wasReady = true;
    this.#settleStarted.resolve();
  }

  #record(): void {
    const children = [...this.#identities].map(([role, identity]) => ({ ...identity, role }));
    const { config } = this.#options;
    writeProcessRecord(config.folders.data, {
      supervisor: this.#self,
      children,
      api: this.#apiAddress,
      uses: placesOf(config),
    });
  }
}

/** Longer than a process that works is silent. */
const silentMs = 5_000;

function silenceOf({ role, state, silentForMs }: ChildStatus): string[] {
  if (state !== "ready" || silentForMs < silentMs) return [];
  return [`${role} has done nothing for ${Math.round(silentForMs / 1000)} s`];
}

function reasonNotReady(status: ChildStatus): string[] {
  if (status.state === "ready") return [];
  if (status.refusal) return [`${status.role}: ${status.refusal.code}: ${status.refusal.message}`];
  return [`${status.role} is ${status.state}`];
}
