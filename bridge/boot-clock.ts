import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { BOOT_ID_BYTES } from "./block/block-format.ts";

/** Elapsed time on this machine, whatever becomes of its wall clock. */
export interface BootClock {
  /** 16 hex digits. Clocks of equal ids, of other processes too, show the same time. */
  readonly bootId: string;
  /** ms since the machine booted, time asleep included. Never goes back. */
  elapsedMs(): number;
}

/** Where the clock comes from. */
export interface BootClockSources {
  /** ms since the epoch. */
  readonly wallMs: () => number;
  /** ms since boot without the time asleep. */
  readonly monotonicMs: () => number;
  /** ms since boot with the time asleep; null = the system does not say. */
  readonly uptimeMs: () => number | null;
  /** Names the boot, and the clocks that this process sees; null = the system does not say. */
  readonly bootName: () => string | null;
}

/** When wall clock and monotonic clock part by more, the machine may have slept, and the time asleep is read again. */
const DRIFT_MS = 1000;

/**
 * The monotonic clock plus the time that the machine slept. That is read again only if the wall clock has moved otherwise than the
 * monotonic one: after sleep the system sets it forward by as much.
 */
class SystemBootClock implements BootClock {
  readonly bootId: string;
  readonly #sources: BootClockSources;
  #asleepMs: number;
  /** Wall clock − monotonic clock when the time asleep was read. */
  #partedMs: number;

  constructor(sources: BootClockSources) {
    this.#sources = sources;
    const monotonicMs = sources.monotonicMs();
    const uptimeMs = sources.uptimeMs() ?? monotonicMs;
    this.#asleepMs = asleepOf(monotonicMs, uptimeMs);
    this.#partedMs = sources.wallMs() - monotonicMs;
    this.bootId = idOf(sources.bootName(), uptimeMs < monotonicMs - DRIFT_MS);
  }

  elapsedMs(): number {
    const { wallMs, monotonicMs, uptimeMs } = this.#sources;
    const nowMs = monotonicMs();
    const partedMs = wallMs() - nowMs;
    if (Math.abs(partedMs - this.#partedMs) > DRIFT_MS) {
      this.#partedMs = partedMs;
      this.#asleepMs = Math.max(this.#asleepMs, asleepOf(nowMs, uptimeMs() ?? nowMs));
    }
    return nowMs + this.#asleepMs;
  }
}

/** Less than a second is the two clocks' rounding. A container may be shown an uptime of its own: then the time asleep is not known. */
function asleepOf(monotonicMs: number, uptimeMs: number): number {
  const asleepMs = uptimeMs - monotonicMs;
  return asleepMs < DRIFT_MS ? 0 : asleepMs;
}

/** Without a name of the boot the clock is this process's own. */
function idOf(bootName: string | null, hasOwnUptime: boolean): string {
  if (bootName === null) return randomBytes(BOOT_ID_BYTES).toString("hex");
  const digest = createHash("sha256").update(`${bootName} ${hasOwnUptime}`).digest("hex");
  return digest.slice(0, BOOT_ID_BYTES * 2);
}

const linux: BootClockSources = {
  wallMs: Date.now,
  // CLOCK_MONOTONIC: its zero is the boot, for all processes of a time namespace.
  monotonicMs: () => {
    const [seconds, nanoseconds] = process.hrtime();
    return seconds * 1000 + nanoseconds / 1e6;
  },
  uptimeMs: () => {
    const text = readOrNull(() => readFileSync("/proc/uptime", "latin1"));
    const uptimeMs = Number(text?.split(" ")[0]) * 1000;
    return Number.isFinite(uptimeMs) ? uptimeMs : null;
  },
  bootName: () => {
    const bootId = readOrNull(() => readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim());
    return bootId && `${bootId} ${readOrNull(() => readlinkSync("/proc/self/ns/time")) ?? ""}`;
  },
};

function readOrNull(read: () => string): string | null {
  try {
    return read();
  } catch {
    return null;
  }
}

/** This machine's. Where the system tells no boot id, it is of this process alone. */
export function openBootClock(sources: BootClockSources = linux): BootClock {
  return new SystemBootClock(sources);
}
