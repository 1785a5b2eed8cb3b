import { type ChildProcess, fork } from "node:child_process";
import type { Logger } from "pino";
import { fullJitterDelayMs } from "../../devices/protocol/backoff.ts";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../gateway-config.ts";
import type {
  ChildRequests,
  CommittedPositions,
  FromChild,
  Refusal,
  RequestKind,
  RoleName,
  ToChild,
} from "./messages.ts";
import { PositionsRelay } from "./positions-relay.ts";
import { identifyProcess, type ProcessIdentity } from "./process-identity.ts";
import { SilenceWatch } from "./silence-watch.ts";

/** `waiting` = it ended and is started again after a delay. */
export type ChildState = "starting" | "ready" | "waiting" | "stopping" | "stopped";

export interface ChildStatus {
  readonly role: RoleName;
  readonly state: ChildState;
  readonly pid: number | null;
  readonly restarts: number;
  /** How often it was ended because it ran and did nothing. */
  readonly hangs: number;
  /** For how long nothing was heard of it, ms; less than a second while it works. */
  readonly silentForMs: number;
  /** Why it can't start, where it said so. */
  readonly refusal: Refusal | null;
  readonly lastExit: {
    readonly code: number | null;
    readonly signal: string | null;
    readonly atMs: number;
  } | null;
  /** Where it listens, or listened last. */
  readonly listening: string | null;
}

export interface SupervisedChildOptions {
  readonly role: RoleName;
  readonly config: GatewayConfig;
  /** The program that is forked with the role as its argument. */
  readonly program: string;
  /** An open folder that the child holds open for its life; what it is put on record with. */
  readonly folderDescriptor: number;
  readonly logger: Logger;
  readonly random: () => number;
  readonly now: () => number;
  /** Called when the pid changes and before the child may do anything; null = no process. */
  readonly onProcess: (identity: ProcessIdentity | null) => void;
  readonly onMessage: (message: FromChild) => void;
  readonly onChange: () => void;
  /** Called when it is ended because it does nothing. */
  readonly onHang: () => void;
}

/** What a child answered a request with, under the code that it raised. */
export class ChildError extends CodedError {
  constructor(refusal: Refusal) {
    super(refusal.code, refusal.message, { retryable: refusal.retryable });
  }
}

const backoff = { baseMs: 100, maxMs: 10_000 };
/** A child that said why it can't start mostly waits for a person. */
const refusedBackoff = { baseMs: 1_000, maxMs: 30_000 };
/** Messages that wait to leave for a child. */
const unsentMax = 64;
/** One that was ready for so long has not been failing: its next delay is short again. */
const healthyAfterMs = 5_000;
/** What has failed for so long does not mend itself within seconds. */
const toldAfterMs = 10_000;

/** One child process, started again whenever it ends, with growing, jittered delays. It never takes the others down. */
export class SupervisedChild {
  readonly #options: SupervisedChildOptions;
  #process: ChildProcess | null = null;
  #state: ChildState = "stopped";
  #attempt = 0;
  #restarts = 0;
  #hangs = 0;
  readonly #silence: SilenceWatch;
  #readyAtMs: number | null = null;
  /** Since when it has not been healthy; null = it is. */
  #failingSinceMs: number | null = null;
  #refusal: Refusal | null = null;
  /** True where this process, not an earlier one, said why it can't go on. */
  #hasRefused = false;
  #lastExit: ChildStatus["lastExit"] = null;
  #listening: string | null = null;
  #restartTimer: NodeJS.Timeout | null = null;
  #nextRequest = 1;
  /** Of messages that have not left yet. */
  readonly #taken = new Set<() => void>();
  readonly #positions = new PositionsRelay((committed, taken) => {
    if (this.#state === "ready") this.#send({ type: "committed", committed }, taken);
    else taken();
  });
  readonly #requests = new Map<
    number,
    { resolve: (answer: unknown) => void; reject: (error: Error) => void }
  >();
  #stopped: (() => void) | null = null;

  constructor(options: SupervisedChildOptions) {
    this.#options = options;
    this.#silence = new SilenceWatch(options.config.supervision.silenceMs, () => this.#endHanging());
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
      // Only the supervisor speaks on stdout; what children print goes where the logs go.
      child = fork(program, [role], {
        stdio: ["ignore", 2, 2, "ipc", folderDescriptor],
        serialization: "advanced",
      });
    } catch (error) {
      logger[this.#level()]({ event: "child.error", role, err: error }, `${role} can't be started`);
      this.#startLater(null);
      return;
    }
    this.#process = child;
    this.#silence.begin();
    child.on("message", (message) => this.#receive(message as FromChild));
    child.on("error", (error) =>
      logger[this.#level()]({ event: "child.error", role, err: error }, "child process error"),
    );
    child.once("close", (code, signal) => this.#ended(child, code, signal));
    child.once("spawn", () => this.#admit(child));
  }

  /** Lets the child begin once its process is on record; one that can't be recorded (no space) never begins. */
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
    this.#send({ type: "start", config, listening: this.#listening });
    logger.info({ event: "child.started", role, pid: child.pid }, `${role} started`);
  }

  /** Tells it up to where the lake holds the stream. One that is not ready reads that from the lake when it starts. */
  committed(committed: CommittedPositions): void {
    this.#positions.offer(committed);
  }

  /** Rejects with CHILD_UNREACHABLE (retryable) where there is no answer in time. */
  request<Kind extends RequestKind>(
    kind: Kind,
    ask: ChildRequests[Kind]["ask"],
    timeoutMs: number,
  ): Promise<ChildRequests[Kind]["answer"]> {
    const { role } = this.#options;
    return new Promise((resolve, reject) => {
      if (this.#state !== "ready") return reject(unreachable(`The ${role} is not running.`));
      // A stopped process takes nothing from its channel, and monitors ask for ever.
      if (this.#taken.size >= unsentMax) return reject(unreachable(`The ${role} does not answer.`));
      const id = this.#nextRequest++;
      const timer = setTimeout(
        () => settle(() => reject(unreachable(`The ${role} did not answer.`))),
        timeoutMs,
      );
      const settle = (done: () => void): void => {
        clearTimeout(timer);
        this.#requests.delete(id);
        done();
      };
      this.#requests.set(id, {
        resolve: (answer) => settle(() => resolve(answer as ChildRequests[Kind]["answer"])),
        reject: (error) => settle(() => reject(error)),
      });
      this.#send({ type: "request", id, kind, ask });
    });
  }

  /** Asks it to finish its work and end, kills it after `timeoutMs`. Resolves once it is gone; true = it ended by itself, with 0. */
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
    this.#send({ type: "stop" });
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

  /** It lives and does nothing: what it was at is begun again by another process. */
  #endHanging(): void {
    const { role, logger, onHang } = this.#options;
    const { silentForMs } = this.#silence;
    this.#hangs += 1;
    onHang();
    const facts = { event: "child.silent", role, pid: this.#process?.pid, silentForMs };
    logger.error(facts, `${role} has done nothing for ${silentForMs} ms: it is ended and started again`);
    this.#process?.kill("SIGKILL");
  }

  #receive(message: FromChild): void {
    this.#silence.heard();
    if (message.type === "ready") {
      this.#listening = message.listening;
      this.#refusal = null;
      this.#readyAtMs = performance.now();
      this.#tellRecovery();
      if (this.#state === "starting") this.#setState("ready");
    } else if (message.type === "refused") {
      this.#refusal = message.refusal;
      this.#hasRefused = true;
    } else if (message.type === "answer") {
      this.#requests.get(message.id)?.resolve(message.answer);
    } else if (message.type === "failure") {
      this.#requests.get(message.id)?.reject(new ChildError(message.refusal));
    }
    this.#options.onMessage(message);
  }

  #ended(child: ChildProcess, code: number | null, signal: string | null): void {
    if (this.#process !== child) return;
    const { role, logger, now } = this.#options;
    this.#process = null;
    this.#silence.end();
    this.#lastExit = { code, signal, atMs: now() };
    for (const request of [...this.#requests.values()]) request.reject(unreachable(`The ${role} ended.`));
    for (const done of [...this.#taken]) done();
    this.#forget();
    if (this.#state === "stopping") {
      this.#setState("stopped");
      this.#stopped?.();
      return;
    }
    if (!this.#hasRefused) this.#refusal = null;
    const facts = { event: "child.ended", role, pid: child.pid, code, signal, refusal: this.#refusal?.code };
    logger[this.#level()](facts, this.#refusal?.message ?? `${role} ended unexpectedly and is started again`);
    this.#startLater(this.#readyAtMs);
  }

  /** Of what happens to it now: `error` if somebody has to do something about it, or it does not get better for seconds. */
  #level(): "warn" | "error" {
    const nowMs = performance.now();
    const wasHealthy = this.#readyAtMs !== null && nowMs - this.#readyAtMs >= healthyAfterMs;
    if (wasHealthy) this.#failingSinceMs = nowMs;
    this.#failingSinceMs ??= nowMs;
    const waitsForPerson = this.#refusal !== null && !this.#refusal.retryable;
    return waitsForPerson || nowMs - this.#failingSinceMs >= toldAfterMs ? "error" : "warn";
  }

  #tellRecovery(): void {
    const { role, logger } = this.#options;
    if (this.#failingSinceMs === null) return;
    logger.info({ event: "child.recovered", role, restarts: this.#restarts }, `${role} works again`);
  }

  /** A record that stays as it was does no harm: it names a process that is gone. */
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

  #startLater(readyAtMs: number | null): void {
    const { random } = this.#options;
    const wasHealthy = readyAtMs !== null && performance.now() - readyAtMs >= healthyAfterMs;
    this.#attempt = wasHealthy ? 0 : this.#attempt;
    const delayMs = fullJitterDelayMs(this.#attempt, this.#refusal ? refusedBackoff : backoff, random);
    this.#attempt++;
    this.#restarts++;
    this.#readyAtMs = null;
    this.#restartTimer = setTimeout(() => this.start(), delayMs);
    this.#setState("waiting");
  }

  #send(message: ToChild, taken: () => void = () => {}): void {
    const child = this.#process;
    // A child that has just ended can't be told; `close` deals with that.
    if (!child?.connected) {
      taken();
      return;
    }
    const done = (): void => {
      if (this.#taken.delete(done)) taken();
    };
    this.#taken.add(done);
    child.send(message, done);
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

function unreachable(message: string): GatewayError {
  return new GatewayError("CHILD_UNREACHABLE", message, { retryable: true });
}
