import { type ChildProcess, fork } from "node:child_process";
import type { Logger } from "pino";
import { identifyProcess, type ProcessIdentity } from "../../devices/protocol/process-identity.ts";
import type {
  ChildRequests,
  CommittedPositions,
  FromChild,
  Refusal,
  RequestKind,
  RoleName,
} from "../processes/messages.ts";
import { PositionsRelay } from "../processes/positions-relay.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { ChildState, ChildStatus } from "../status/child-status.ts";
import { ChildChannel, unreachable } from "./child-channel.ts";
import { ChildHealth } from "./child-health.ts";
import { SilenceWatch } from "./silence-watch.ts";

export interface SupervisedChildOptions {
  readonly role: RoleName;
  readonly config: GatewayConfig;
  /** The program that is forked with the role as its argument. */
  readonly program: string;
  /** An open folder that the child keeps open as long as it lives: see `killLeftChildren`. */
  readonly folderDescriptor: number;
  readonly logger: Logger;
  readonly random: () => number;
  readonly now: () => number;
  /** Called when the pid changes, before the child starts its work; null = there is no process. */
  readonly onProcess: (identity: ProcessIdentity | null) => void;
  readonly onMessage: (message: FromChild) => void;
  readonly onChange: () => void;
  /** Called when the child is killed because it hangs. */
  readonly onHang: () => void;
}

/**
 * One child process, restarted with growing, jittered delays whenever it ends. Other children are not
 * affected.
 */
export class SupervisedChild {
  readonly #options: SupervisedChildOptions;
  #process: ChildProcess | null = null;
  #state: ChildState = "stopped";
  #restarts = 0;
  #hangs = 0;
  readonly #silence: SilenceWatch;
  readonly #health: ChildHealth;
  readonly #channel: ChildChannel;
  #refusal: Refusal | null = null;
  /** True if this process, not an earlier one, reported why it cannot continue. */
  #hasRefused = false;
  #lastExit: ChildStatus["lastExit"] = null;
  #listening: string | null = null;
  #restartTimer: NodeJS.Timeout | null = null;
  readonly #positions = new PositionsRelay((committed, sent) => {
    if (this.#state === "ready") this.#channel.send({ type: "committed", committed }, sent);
    else sent();
  });
  #stopped: (() => void) | null = null;

  constructor(options: SupervisedChildOptions) {
    this.#options = options;
    this.#silence = new SilenceWatch(options.config.supervision.silenceMs, () => this.#endHanging());
    this.#health = new ChildHealth(options.random);
    this.#channel = new ChildChannel(options.role);
  }

  get status(): ChildStatus {
    return {
      role: this.#options.role,
      state: this.#state,
      pid: this.#process?.pid ?? null,
      restarts: this.#restarts,
      hangs: this.#hangs,
      silentForMs: this.#silence.silentForMs,
      refusal: this.#refusal,
      lastExit: this.#lastExit,
      listening: this.#listening,
    };
  }

  start(): void {
    const { role, program, folderDescriptor, logger } = this.#options;
    this.#setState("starting");
    this.#hasRefused = false;
    let child: ChildProcess;
    try {
      // Only the supervisor writes to stdout; the output of children goes to the log.
      child = fork(program, [role], {
        stdio: ["ignore", 2, 2, "ipc", folderDescriptor],
        serialization: "advanced",
      });
    } catch (error) {
      logger[this.#level()]({ event: "child.error", role, err: error }, `${role} can't be started`);
      this.#startLater();
      return;
    }
    this.#process = child;
    this.#channel.open(child);
    this.#silence.begin();
    child.on("message", (message) => this.#receive(message as FromChild));
    child.on("error", (error) =>
      logger[this.#level()]({ event: "child.error", role, err: error }, "child process error"),
    );
    child.once("close", (code, signal) => this.#ended(child, code, signal));
    child.once("spawn", () => this.#admit(child));
  }

  /** Sends `start` once the process is on record. A child that cannot be recorded (no space) is killed. */
  #admit(child: ChildProcess): void {
    const { role, logger, config, onProcess } = this.#options;
    try {
      onProcess(child.pid === undefined ? null : identifyProcess(child.pid));
    } catch (error) {
      const fields = { event: "child.record.failed", role, err: error };
      logger[this.#level()](fields, `${role} can't be put on record`);
      child.kill("SIGKILL");
      return;
    }
    this.#channel.send({ type: "start", config, listening: this.#listening });
    logger.info({ event: "child.started", role, pid: child.pid }, `${role} started`);
  }

  /**
   * Reports the committed positions to the child. A child that is not ready reads them from the lake at its
   * start.
   */
  committed(committed: CommittedPositions): void {
    this.#positions.offer(committed);
  }

  /** Rejects with CHILD_UNREACHABLE (retryable) if no answer comes in time. */
  async request<Kind extends RequestKind>(
    kind: Kind,
    ask: ChildRequests[Kind]["ask"],
    timeoutMs: number,
  ): Promise<ChildRequests[Kind]["answer"]> {
    if (this.#state !== "ready") throw unreachable(`The ${this.#options.role} is not running.`);
    return await this.#channel.request(kind, ask, timeoutMs);
  }

  /**
   * Asks the child to finish its work, and kills it after `timeoutMs`. Resolves once it has ended; true =
   * with 0.
   */
  async stop(timeoutMs: number): Promise<boolean> {
    this.#clearTimer();
    const child = this.#process;
    if (!child) {
      this.#setState("stopped");
      return true;
    }
    const gone = new Promise<void>((resolve) => {
      this.#stopped = resolve;
    });
    this.#setState("stopping");
    this.#channel.send({ type: "stop" });
    const timer = setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    await gone;
    clearTimeout(timer);
    return this.#lastExit?.code === 0;
  }

  kill(): void {
    this.#clearTimer();
    this.#state = "stopping";
    this.#process?.kill("SIGKILL");
  }

  /** The process runs but hangs: the next process repeats its unfinished work. */
  #endHanging(): void {
    const { role, logger, onHang } = this.#options;
    const { silentForMs } = this.#silence;
    this.#hangs += 1;
    onHang();
    const facts = { event: "child.silent", role, pid: this.#process?.pid, silentForMs };
    logger.error(facts, `${role} has hung for ${silentForMs} ms: it is killed and restarted`);
    this.#process?.kill("SIGKILL");
  }

  #receive(message: FromChild): void {
    this.#silence.heard();
    this.#channel.received(message);
    if (message.type === "ready") this.#becomeReady(message.listening);
    else if (message.type === "refused") {
      this.#refusal = message.refusal;
      this.#hasRefused = true;
    }
    this.#options.onMessage(message);
  }

  #becomeReady(listening: string | null): void {
    const { role, logger } = this.#options;
    this.#listening = listening;
    this.#refusal = null;
    if (this.#health.becameReady())
      logger.info({ event: "child.recovered", role, restarts: this.#restarts }, `${role} works again`);
    if (this.#state === "starting") this.#setState("ready");
  }

  #ended(child: ChildProcess, code: number | null, signal: string | null): void {
    if (this.#process !== child) return;
    const { role, logger, now } = this.#options;
    this.#process = null;
    this.#silence.end();
    this.#lastExit = { code, signal, atMs: now() };
    this.#channel.close();
    this.#forget();
    if (this.#state === "stopping") {
      this.#setState("stopped");
      this.#stopped?.();
      return;
    }
    if (!this.#hasRefused) this.#refusal = null;
    const refusal = this.#refusal && { refusal: this.#refusal.code, isRetryable: this.#refusal.retryable };
    const facts = { event: "child.ended", role, pid: child.pid, code, signal, ...refusal };
    logger[this.#level()](facts, this.#refusal?.message ?? `${role} ended unexpectedly and is restarted`);
    this.#startLater();
  }

  #level(): "warn" | "error" {
    return this.#health.level(this.#refusal);
  }

  /** A record that could not be changed does no harm: it names a process that no longer exists. */
  #forget(): void {
    const { role, logger, onProcess } = this.#options;
    try {
      onProcess(null);
    } catch (error) {
      logger.warn(
        { event: "child.record.failed", role, err: error },
        `the end of the ${role} is not on record`,
      );
    }
  }

  #startLater(): void {
    this.#restarts++;
    this.#restartTimer = setTimeout(() => this.start(), this.#health.nextDelayMs(this.#refusal));
    this.#setState("waiting");
  }

  #clearTimer(): void {
    if (this.#restartTimer) clearTimeout(this.#restartTimer);
    this.#restartTimer = null;
  }

  #setState(state: ChildState): void {
    this.#state = state;
    this.#options.onChange();
  }
}
