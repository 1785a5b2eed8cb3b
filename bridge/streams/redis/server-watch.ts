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

/** What a block takes in the server, per byte of it: its memory comes in steps. */
const memoryPerByte = 1.25;

export interface WatchOptions {
  readonly client: RedisClient;
  readonly config: RedisConfig;
  readonly logger: Logger;
  /**
   * Looks whether the servers still hold this stream; where `isThorough`, with everything that they confirmed here.
   * Answers what is lost.
   */
  readonly verify: (isThorough: boolean) => Promise<readonly Loss[]>;
  /** Called for each loss that was not known before. */
  readonly onLost: (error: BridgeError) => void;
}

export interface Loss {
  /** Null = the whole stream. */
  readonly partition: number | null;
  /** STREAM_GAP */
  readonly error: BridgeError;
}

export interface WatchStatus {
  readonly pressure: MemoryPressure;
  readonly usedBytes: number;
  /** What may be used: maxmemory, or redis.maxBytes where the server has no limit. Of the fullest server. */
  readonly maxBytes: number;
  /** Why the servers may lose what they confirm. */
  readonly faults: readonly string[];
  readonly versions: readonly string[];
  readonly isConnected: boolean;
}

/**
 * Looks at the servers every `checkMs` and after each reconnect: may they keep what they confirm, have they room, are they still the
 * ones that hold the stream. Until the answer is yes nothing is appended.
 */
export class ServerWatch {
  readonly #options: WatchOptions;
  #reports: readonly ServerReport[] = [];
  readonly #pressures = new Map<string, MemoryPressure>();
  readonly #unsettled = new Set<string>();
  #bytesSince = 0;
  #incarnations = "";
  /** Why the servers count as unknown; null = looked at since the last reconnect. */
  #unknown: BridgeError | null = new BridgeError("REDIS_UNAVAILABLE", "Redis was not looked at yet", {
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

  /** @throws BridgeError REDIS_UNAVAILABLE, and where `mustBeSafe` STREAM_GAP, REDIS_UNSUPPORTED */
  async start(mustBeSafe: boolean): Promise<void> {
    onConnectionChange(this.#options.client, (isReady) => this.#reconnected(isReady));
    await this.check();
    const refusal = this.#unknown ?? (mustBeSafe ? (this.#lost[0]?.error ?? this.#unsafe(false)) : null);
    if (refusal) throw refusal;
    this.#schedule();
  }

  /** Waits for the look that a reconnect has caused. */
  async settled(): Promise<void> {
    if (this.#unknown) await this.#checking;
  }

  /** Why nothing may be appended to this partition now; null = it may. @param partition null = to any */
  hold(partition: number | null): BridgeError | null {
    const loss = this.#lost.find((each) => each.partition === null || each.partition === partition);
    return loss?.error ?? this.#unknown ?? this.#unsafe(true) ?? this.#full();
  }

  /** What is lost of any partition; the first of it. */
  lost(): BridgeError | null {
    return this.#lost[0]?.error ?? null;
  }

  /** The server took this much since. */
  appended(bytes: number): void {
    this.#bytesSince += bytes * memoryPerByte;
    this.#notePressure();
  }

  /** An append found that the stream is not what it was. */
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

  /** Looks now. Never rejects. */
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

  /** A server that was reconnected meanwhile may be another: what was asked before says nothing of it. */
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
      logger.warn({ event: "stream.redis.found" }, "what was lost is there again");
    this.#lost = losses;
    for (const { partition, error } of losses) {
      if (known.includes(partition)) continue;
      known.push(partition);
      logger.error({ event: "stream.redis.lost", partition, code: error.code }, error.message);
      onLost(error);
    }
  }

  /** A server that was told to keep an append-only file keeps none until it has written the first one. */
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
    logger.warn(fields, "the memory of Redis has crossed a step");
  }

  #warn(): void {
    const unlimited = this.#reports.filter(({ maxMemoryBytes }) => maxMemoryBytes === 0);
    const faults = [
      ...this.#faults(),
      ...unlimited.map(
        ({ node }) =>
          `Redis at ${node} has maxmemory 0: it grows until the machine stops it. Tidegate holds at shares of redis.maxBytes = ${this.#options.config.maxBytes} instead`,
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
        (node) => `Redis at ${node} is still writing its first append-only file: wait until it has`,
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
    const text = `Redis at ${fullest.node} uses ${percent} % of ${this.#limit(fullest)} bytes: above ${hold} % nothing is stored until there is room again. It comes when the consumer has filed more, or with CONFIG SET maxmemory`;
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

/** Retryable in any case: what is wrong now was right when it was opened. */
function unknownBecause(error: unknown, trouble: Error | null): BridgeError {
  const failure = redisError(trouble ?? error, trouble ? "Redis can't be connected" : "checking Redis");
  if (failure.code !== "REDIS_DENIED") return failure;
  const text = `${failure.message}. Where password or rights were changed, give Tidegate the new ones and restart it`;
  return new BridgeError("REDIS_UNAVAILABLE", text, { retryable: true, cause: failure });
}
