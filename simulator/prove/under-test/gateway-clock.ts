import { renameSync, writeFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/**
 * Targets of a step. Ahead: NTP after a start without a clock, a time zone taken for UTC, or a virtual
 * machine that was suspended for more than a day. Then right, then behind.
 */
const offsetsMs = [25 * hourMs, 2 * hourMs, 90_000, 0, -90_000, -2 * hourMs];
/** From the last of them. */
const furtherMs = 90_000;
const spikesMs = [10 * dayMs, -10 * dayMs];
/** Several appends and commits fall into a spike. */
const spikeMinMs = 1_500;
/** Processes look that often at what their clock shall be. */
const noticeMs = 100;

/** A time during which the wall clock was not right, by the real one. */
export interface WrongTime {
  readonly fromMs: number;
  /** null = it still is. */
  readonly toMs: number | null;
}

/**
 * The wall clock of all processes of one gateway, as on one machine. Strikes set it. Timers and other
 * monotonic clocks do not change.
 */
export class GatewayClock implements Strikable {
  readonly #file: string;
  readonly #wrong: { fromMs: number; toMs: number | null }[] = [];
  #offsetMs = 0;

  constructor(file: string) {
    this.#file = file;
    this.#write(0);
  }

  /** Arguments of `node`, and a variable, for processes with this clock. Their children inherit the clock. */
  get execArgv(): readonly string[] {
    const isSource = import.meta.url.endsWith(".ts");
    const preload = new URL(`clock-preload.${isSource ? "ts" : "js"}`, import.meta.url).href;
    // A source needs a loader, even if the process that starts others runs without one.
    return [...(isSource ? ["--import", "tsx"] : []), "--import", preload];
  }

  get environment(): Readonly<Record<string, string>> {
    return { PROVE_CLOCK_FILE: this.#file };
  }

  /** How far it is ahead of the real time. */
  get offsetMs(): number {
    return this.#offsetMs;
  }

  get wrong(): readonly WrongTime[] {
    return this.#wrong;
  }

  /** Resolves once running processes have seen it. */
  async set(offsetMs: number): Promise<void> {
    const last = this.#wrong.at(-1);
    if (offsetMs !== 0 && (!last || last.toMs !== null)) this.#wrong.push({ fromMs: Date.now(), toMs: null });
    this.#write(offsetMs);
    await delay(noticeMs);
    if (offsetMs === 0 && last && last.toMs === null) last.toMs = Date.now();
  }

  async strike({
    fault,
    amount,
    pauseMs,
  }: Pick<Strike, "fault" | "amount" | "pauseMs">): Promise<StrikeEffect> {
    if (fault === "spike") {
      const before = this.#offsetMs;
      const spikeMs = oneOf(spikesMs, amount);
      await this.set(before + spikeMs);
      await delay(spikeMinMs + pauseMs);
      await this.set(before);
      return { detail: `${text(spikeMs)} for ${spikeMinMs + pauseMs} ms` };
    }
    const before = this.#offsetMs;
    const isForward = fault === "step-forward";
    const places = offsetsMs.filter((offsetMs) => (isForward ? offsetMs > before : offsetMs < before));
    const further = before + (isForward ? furtherMs : -furtherMs);
    await this.set(places.length === 0 ? further : oneOf(places, amount));
    return { detail: `from ${text(before)} to ${text(this.#offsetMs)}` };
  }

  #write(offsetMs: number): void {
    writeFileSync(`${this.#file}.tmp`, String(offsetMs));
    renameSync(`${this.#file}.tmp`, this.#file);
    this.#offsetMs = offsetMs;
  }
}

function oneOf(values: readonly number[], amount: number): number {
  return values[Math.floor(amount * values.length)] as number;
}

function text(offsetMs: number): string {
  const size = Math.abs(offsetMs);
  const sign = offsetMs < 0 ? "-" : "+";
  if (size > 0 && size % dayMs === 0) return `${sign}${size / dayMs} d`;
  return size >= hourMs ? `${sign}${size / hourMs} h` : `${sign}${size / 1000} s`;
}
