import type { Logger } from "pino";
import { identifyProcess, type ProcessIdentity } from "../../devices/protocol/process-identity.ts";
import { writeProcessRecord } from "../data-folder/process-record.ts";
import { GatewayError } from "../errors.ts";
import type { CommittedPositions, FromChild, RoleName } from "../processes/messages.ts";
import { processesOf } from "../processes/processes-of.ts";
import { completeCommands } from "../settings/command-flags.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { ChildStatus } from "../status/child-status.ts";
import type { GatewayMetrics } from "./gateway-metrics.ts";
import { placesOf } from "./gateway-places.ts";
import { SupervisedChild } from "./supervised-child.ts";

export interface SupervisorOptions {
  readonly config: GatewayConfig;
  /** The program that is forked with a role as its argument. */
  readonly program: string;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
  /** The open data folder, which children keep open as well: see `killLeftChildren`. */
  readonly folderDescriptor: number;
  readonly random: () => number;
  readonly now: () => number;
}

const refreshTimeoutMs = 10_000;
/** For the upkeep, which ends sooner by itself. Killing it loses nothing. */
const upkeepStopMaxMs = 5_000;

/** After a loss in the stream, a person must act, and needs the running gateway to see the fault. */
const refusalsToLiveWith = new Set(["STREAM_GAP"]);
/** The process ended itself because it made no progress. */
const stuckCodes = new Set(["CONSUMER_STUCK", "UPKEEP_STUCK"]);

/**
 * Runs the broker, the consumer and the upkeep. The upkeep starts once the others were ready, and neither the
 * start nor the readiness of the gateway waits for it. The caller holds the data folder's lock, and has
 * killed children of an earlier supervisor.
 */
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
    // Callers that wait get the rejection, but waiting is optional.
    this.#started.catch(() => {});
    this.#record();
    for (const role of processesOf(options.config)) this.#children.set(role, this.#child(role));
  }

  /**
   * Resolves when broker and consumer have been ready for the first time; rejects with CHILD_FAILED if one
   * reports that it cannot start.
   */
  start(apiAddress: string): Promise<void> {
    this.#apiAddress = apiAddress;
    this.#record();
    for (const [role, child] of this.#children) if (isNeeded(role)) child.start();
    return this.#started;
  }

  /** null if this gateway does not run the role. */
  child(role: RoleName): SupervisedChild | null {
    return this.#children.get(role) ?? null;
  }

  statuses(): ChildStatus[] {
    return [...this.#children.values()].map((child) => child.status);
  }

  /** Hanging processes, as texts for people. */
  silences(): string[] {
    return this.statuses().flatMap(silenceOf);
  }

  readiness(): { isReady: boolean; reasons: string[] } {
    if (this.#isStopping) return { isReady: false, reasons: ["the gateway is stopping"] };
    const reasons = this.#needed().flatMap((status) => reasonNotReady(status));
    return { isReady: reasons.length === 0, reasons };
  }

  /**
   * Stops accepting, waits until the consumer has filed the messages in the stream, and ends. True if all of
   * this was done within `timeoutMs`. Other messages stay in the stream and are filed after the next start.
   */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#isStopping = true;
    const deadlineMs = performance.now() + timeoutMs;
    const upkeep = this.#stopUpkeep(Math.min(timeoutMs, upkeepStopMaxMs));
    const hasSettled = (await this.child("broker")?.stop(timeoutMs / 2)) ?? true;
    const leftMs = Math.max(0, deadlineMs - performance.now());
    const hasFiled = (await this.child("consumer")?.stop(leftMs)) ?? true;
    await upkeep;
    return hasSettled && hasFiled;
  }

  /** Beside the other processes, which do not wait for it. */
  async #stopUpkeep(timeoutMs: number): Promise<void> {
    const hasEnded = (await this.child("upkeep")?.stop(timeoutMs)) ?? true;
    if (hasEnded) return;
    const fields = { event: "child.killed", role: "upkeep", timeoutMs };
    this.#options.logger.warn(fields, "the upkeep did not end in time: a later one repeats its work");
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
    if (message.type === "refused" && stuckCodes.has(message.refusal.code))
      this.#options.metrics.childHangs.inc({ child: role });
    if (message.type !== "refused" || !isNeeded(role) || this.#wasReady || this.#isStopping) return;
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

  /** Commits and topics may have changed after the broker read them and before it was ready. */
  #catchUpBroker(): void {
    const broker = this.child("broker");
    if (!broker) return;
    if (this.#committed) broker.committed(this.#committed);
    broker
      .request("topicsChanged", null, refreshTimeoutMs)
      .catch((error: unknown) =>
        this.#options.logger.warn(
          { event: "registry.notice.failed", err: error },
          "the broker did not refresh its topics",
        ),
      );
  }

  #changed(role: RoleName): void {
    const { metrics } = this.#options;
    const state = this.child(role)?.status.state;
    metrics.childUp.set({ child: role }, state === "ready" ? 1 : 0);
    if (state === "waiting") metrics.childRestarts.inc({ child: role });
    if (this.#wasReady || !this.#needed().every((status) => status.state === "ready")) return;
    this.#wasReady = true;
    this.#settleStarted.resolve();
    if (!this.#isStopping) this.child("upkeep")?.start();
  }

  #needed(): ChildStatus[] {
    return this.statuses().filter(({ role }) => isNeeded(role));
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

/** False = acknowledgements and filing go on without this process. */
function isNeeded(role: RoleName): boolean {
  return role !== "upkeep";
}

/** Longer than any silence of a working process. */
const silentMs = 5_000;

function silenceOf({ role, state, silentForMs }: ChildStatus): string[] {
  if (state !== "ready" || silentForMs < silentMs) return [];
  return [`${role} has hung for ${Math.round(silentForMs / 1000)} s`];
}

function reasonNotReady(status: ChildStatus): string[] {
  if (status.state === "ready") return [];
  if (status.refusal) return [`${status.role}: ${status.refusal.code}: ${status.refusal.message}`];
  return [`${status.role} is ${status.state}`];
}
