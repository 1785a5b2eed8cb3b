import type { Logger } from "pino";
import { BridgeError } from "../../errors.ts";
import type { RedisConfig } from "../../redis/redis-config.ts";
import {
  connectionTrouble,
  mastersOf,
  onConnectionChange,
  type RedisClient,
} from "../../redis/redis-connection.ts";
import { redisError } from "../../redis/redis-error.ts";
import { readServerReport, type ServerReport } from "../../redis/server-report.ts";
import { type MemoryPressure, nextPressure, worstPressure } from "./memory-pressure.ts";

/** Memory of the server per byte of a block; the server allocates in steps. */
const memoryPerByte = 1.25;

export interface WatchOptions {
  readonly client: RedisClient;
  readonly config: RedisConfig;
  readonly logger: Logger;
  /**
   * Checks that the servers still hold this stream and, if `isThorough`, all blocks that they confirmed
   * here. Resolves with the losses.
   */
  readonly verify: (isThorough: boolean) => Promise<readonly Loss[]>;
  /** Called once for each new loss. */
  readonly onLost: (error: BridgeError) => void;
}

export interface Loss {
  /** null = the whole stream. */
  readonly partition: number | null;
  /** STREAM_GAP */
  readonly error: BridgeError;
}

export interface WatchStatus {
  readonly pressure: MemoryPressure;
  readonly usedBytes: number;
  /** Limit of the fullest server: maxmemory, or redis.maxBytes if the server has no limit. */
  readonly maxBytes: number;
  /** Why the servers may lose confirmed data. */
  readonly faults: readonly string[];
  readonly versions: readonly string[];
  readonly isConnected: boolean;
}

/**
 * Checks the servers every `checkMs` and after each reconnect: that they keep confirmed data, have room, and
 * still hold the stream. Appends are held until all of this is true.
 */
export class ServerWatch {
  readonly #options: WatchOptions;
  #reports: readonly ServerReport[] = [];
  readonly #pressures = new Map<string, MemoryPressure>();
  readonly #unsettled = new Set<string>();
  #bytesSince = 0;
  #incarnations = "";
  /** Why the servers' state is unknown; null = checked since the last reconnect. */
  #unknown: BridgeError | null = new BridgeError("REDIS_UNAVAILABLE", "Redis was not checked so far", {
    retryable: true,
  });
  #lost: readonly Loss[] = [];
  /** Counts the changes of connections. */
  #epoch = 0;
  #mustVerify = true;
  #warned = "";
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  /** @throws BridgeError REDIS_UNAVAILABLE; if `mustBeSafe` also STREAM_GAP, REDIS_UNSUPPORTED */
  async start(mustBeSafe: boolean): Promise<void> {
    onConnectionChange(this.#options.client, (isReady) => this.#reconnected(isReady));
    await this.check();
    const refusal = this.#unknown ?? (mustBeSafe ? (this.#lost[0]?.error ?? this.#unsafe(false)) : null);
    if (refusal) throw refusal;
    this.#schedule();
  }

  /** Waits for the check after a reconnect. */
  async settled(): Promise<void> {
    if (this.#unknown) await this.#checking;
  }

  /**
   * Why appends to this partition are held; null = they are not.
   * @param partition null = any partition
   */
  hold(partition: number | null): BridgeError | null {
    const loss = this.#lost.find((each) => each.partition === null || each.partition === partition);
    return loss?.error ?? this.#unknown ?? this.#unsafe(true) ?? this.#full();
  }

  /** The first loss in any partition; null = none. */
  lost(): BridgeError | null {
    return this.#lost[0]?.error ?? null;
  }

  /** Counts blocks that the servers stored since the last check. */
  appended(bytes: number): void {
    this.#bytesSince += bytes * memoryPerByte;
    this.#notePressure();
  }

  /** An append detected a loss. */
  noteLoss(loss: Loss): void {
    this.#mustVerify = true;
    this.#setLost([...this.#lost, loss]);
  }

  pressure(): MemoryPressure {
    return worstPressure([...this.#pressures.values()]);
  }

  status(): WatchStatus {
    const fullest = this.#fullest();
    return {
      pressure: this.pressure(),
      usedBytes: fullest?.usedBytes ?? 0,
      maxBytes: fullest ? this.#limit(fullest) : 0,
      faults: this.#faults(),
      versions: [...new Set(this.#reports.map(({ version }) => version))],
      isConnected: this.#unknown === null,
    };
  }

  /** Checks the servers now. Never rejects. */
  async check(): Promise<void> {
    this.#checking ??= this.#checkUntilSettled().finally(() => {
      this.#checking = undefined;
    });
    await this.#checking;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      void this.check().then(() => {
        if (!this.#isClosed) this.#schedule();
      });
    }, this.#options.config.checkMs).unref();
  }

  #reconnected(isReady: boolean): void {
    const text = isReady ? "Redis was reconnected and is being checked" : "the connection to Redis is lost";
    const unknown = new BridgeError("REDIS_UNAVAILABLE", text, { retryable: true });
    this.#unknown = unknownBecause(unknown, isReady ? null : connectionTrouble(this.#options.client));
    this.#epoch += 1;
    this.#mustVerify = true;
    if (isReady && this.#timer) void this.check();
  }

  /** Repeats the check after a reconnect, because the server may be another one. */
  async #checkUntilSettled(): Promise<void> {
    for (let epoch = -1; epoch !== this.#epoch && !this.#isClosed; ) {
      epoch = this.#epoch;
      try {
        await this.#check();
      } catch (error) {
        this.#unknown = unknownBecause(error, connectionTrouble(this.#options.client));
      }
    }
  }

  async #check(): Promise<void> {
    const epoch = this.#epoch;
    const bytesBefore = this.#bytesSince;
    const reports = await Promise.all(mastersOf(this.#options.client).map(readServerReport));
    if (reports.length === 0)
      throw new BridgeError("REDIS_UNAVAILABLE", "the cluster names no server", { retryable: true });
    this.#noteRewrites(reports);
    this.#reports = reports;
    this.#bytesSince -= bytesBefore;
    this.#notePressure();
    const incarnations = reports
      .map(({ incarnation }) => incarnation)
      .sort()
      .join();
    if (incarnations !== this.#incarnations) this.#mustVerify = true;
    this.#incarnations = incarnations;
    this.#setLost(await this.#options.verify(this.#mustVerify || this.#lost.length > 0));
    if (epoch !== this.#epoch) return;
    this.#mustVerify = false;
    this.#unknown = null;
    this.#warn();
  }

  #setLost(losses: readonly Loss[]): void {
    const { logger, onLost } = this.#options;
    const known = this.#lost.map(({ partition }) => partition);
    if (losses.length === 0 && known.length > 0)
      logger.info({ event: "stream.redis.found" }, "the lost blocks are there again");
    this.#lost = losses;
    for (const { partition, error } of losses) {
      if (known.includes(partition)) continue;
      known.push(partition);
      logger.error({ event: "stream.redis.lost", partition, code: error.code }, error.message);
      onLost(error);
    }
  }

  /** After `appendonly yes`, a server is not durable until it has written its first append-only file. */
  #noteRewrites(reports: readonly ServerReport[]): void {
    for (const { node, isAppendOnly, isRewriting } of reports) {
      if (!isAppendOnly) this.#unsettled.add(node);
      else if (!isRewriting) this.#unsettled.delete(node);
    }
  }

  #notePressure(): void {
    const { config, logger } = this.#options;
    const before = this.pressure();
    for (const report of this.#reports) {
      const current = this.#pressures.get(report.node) ?? "none";
      this.#pressures.set(report.node, nextPressure(current, this.#share(report), config));
    }
    const { pressure, usedBytes, maxBytes } = this.status();
    if (pressure === before) return;
    const fields = { event: "stream.redis.pressure", pressure, usedBytes, maxBytes };
    logger.warn(fields, "the memory pressure of Redis has changed");
  }

  #warn(): void {
    const unlimited = this.#reports.filter(({ maxMemoryBytes }) => maxMemoryBytes === 0);
    const faults = [
      ...this.#faults(),
      ...unlimited.map(
        ({ node }) =>
          `Redis at ${node} has maxmemory 0, so its memory has no limit. Tidegate uses redis.maxBytes = ${this.#options.config.maxBytes} as the limit instead`,
      ),
    ];
    if (faults.join() === this.#warned) return;
    this.#warned = faults.join();
    for (const fault of faults) this.#options.logger.warn({ event: "stream.redis.fault" }, fault);
  }

  #faults(): string[] {
    const first = [...this.#unsettled].filter((node) =>
      this.#reports.some((report) => report.node === node && report.isAppendOnly),
    );
    return [
      ...this.#reports.flatMap(({ faults }) => faults),
      ...first.map(
        (node) => `Redis at ${node} is still writing its first append-only file: wait until it is complete`,
      ),
    ];
  }

  #unsafe(retryable: boolean): BridgeError | null {
    const faults = this.#faults();
    if (faults.length === 0 || this.#options.config.durability === "relaxed") return null;
    const text = `${faults.join("; ")}. Or run with redis.durability = relaxed and accept the loss`;
    return new BridgeError("REDIS_UNSUPPORTED", text, { retryable });
  }

  #full(): BridgeError | null {
    const pressure = this.pressure();
    const fullest = this.#fullest();
    if (!fullest || (pressure !== "hold" && pressure !== "refuse")) return null;
    const percent = Math.round(this.#share(fullest) * 100);
    const hold = Math.round(this.#options.config.memoryHold * 100);
    const text = `Redis at ${fullest.node} uses ${percent} % of ${this.#limit(fullest)} bytes: above ${hold} %, messages wait until there is room again. The consumer makes room by filing; or raise the limit with CONFIG SET maxmemory`;
    return new BridgeError("STREAM_FULL", text, { retryable: true });
  }

  #fullest(): ServerReport | undefined {
    return this.#reports.toSorted((left, right) => this.#share(right) - this.#share(left))[0];
  }

  #limit({ maxMemoryBytes }: ServerReport): number {
    return maxMemoryBytes === 0 ? this.#options.config.maxBytes : maxMemoryBytes;
  }

  #share(report: ServerReport): number {
    return (report.usedBytes + this.#bytesSince) / this.#limit(report);
  }
}

/** Always retryable, because the connection was valid when the stream was opened. */
function unknownBecause(error: unknown, trouble: Error | null): BridgeError {
  const failure = redisError(trouble ?? error, trouble ? "Redis can't be connected" : "checking Redis");
  if (failure.code !== "REDIS_DENIED") return failure;
  const text = `${failure.message}. If password or rights were changed, configure the new ones and restart Tidegate`;
  return new BridgeError("REDIS_UNAVAILABLE", text, { retryable: true, cause: failure });
}
