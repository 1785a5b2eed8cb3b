import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { bootIdBytes } from "./block/block-format.ts";

/** Elapsed time on this machine. Changes of the wall clock do not move it. */
export interface BootClock {
  /** 16 hex digits. Clocks with the same id show the same time, in other processes too. */
  readonly bootId: string;
  /** ms since the machine booted, time asleep included. Never goes back. */
  elapsedMs(): number;
}

/** The system's clocks that a boot clock is made of. */
export interface BootClockSources {
  /** ms since the epoch. */
  readonly wallMs: () => number;
  /** ms since boot, without the time asleep. */
  readonly monotonicMs: () => number;
  /** ms since boot, time asleep included; null = the system does not say. */
  readonly uptimeMs: () => number | null;
  /** Names the boot and the clocks that this process sees; null = the system does not say. */
  readonly bootName: () => string | null;
}

/**
 * If wall clock and monotonic clock differ by more, the machine may have slept: the time asleep is read
 * again.
 */
const driftMs = 1000;

/**
 * The monotonic clock plus the time that the machine slept. The time asleep is read again only if wall clock
 * and monotonic clock moved differently: after sleep, the system sets the wall clock forward by the time
 * asleep.
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
    this.bootId = idOf(sources.bootName(), uptimeMs < monotonicMs - driftMs);
  }

  elapsedMs(): number {
    const { wallMs, monotonicMs, uptimeMs } = this.#sources;
    const nowMs = monotonicMs();
    const partedMs = wallMs() - nowMs;
    if (Math.abs(partedMs - this.#partedMs) > driftMs) {
      this.#partedMs = partedMs;
      this.#asleepMs = Math.max(this.#asleepMs, asleepOf(nowMs, uptimeMs() ?? nowMs));
    }
    return nowMs + this.#asleepMs;
  }
}

/**
 * Less than a second is rounding of the two clocks. A container may see an uptime of its own: the time
 * asleep is then unknown and counts as 0.
 */
function asleepOf(monotonicMs: number, uptimeMs: number): number {
  const asleepMs = uptimeMs - monotonicMs;
  return asleepMs < driftMs ? 0 : asleepMs;
}

/** If the boot has no name, the id is random, so that no other process shares it. */
function idOf(bootName: string | null, hasOwnUptime: boolean): string {
  if (bootName === null) return randomBytes(bootIdBytes).toString("hex");
  const digest = createHash("sha256").update(`${bootName} ${hasOwnUptime}`).digest("hex");
  return digest.slice(0, bootIdBytes * 2);
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

/** The boot clock of this machine. If the system tells no boot id, only this process uses the clock's id. */
export function openBootClock(sources: BootClockSources = linux): BootClock {
  return new SystemBootClock(sources);
}
