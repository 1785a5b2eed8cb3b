import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./until.ts";

export interface MemoryInUse {
  /** Objects and buffers of JavaScript that something still refers to. */
  readonly liveBytes: number;
  /** Pages of the process, native memory included, in use or not yet given back. */
  readonly residentBytes: number;
}

/**
 * Measures the memory of processes after a garbage collection. How much uncollected garbage a process has
 * depends on how much CPU time it gets, so resident memory alone proves nothing.
 */
export class LiveMemory {
  readonly #folder = mkdtempSync(join(tmpdir(), "tidegate-memory-"));

  /** The environment that makes a process, and those that it starts, measurable. */
  get environment(): Readonly<Record<string, string>> {
    return {
      NODE_OPTIONS: `${process.env["NODE_OPTIONS"] ?? ""} --import ${join(import.meta.dirname, "live-memory.mjs")}`,
      LIVE_MEMORY_FOLDER: this.#folder,
    };
  }

  /** Collects the garbage of a process and measures it. */
  async of(pid: number): Promise<MemoryInUse> {
    const file = join(this.#folder, String(pid));
    rmSync(file, { force: true });
    process.kill(pid, "SIGUSR2");
    await until(`process ${pid} tells its memory`, () => existsSync(file));
    return JSON.parse(readFileSync(file, "utf8")) as MemoryInUse;
  }

  /** Resolves once a process has at most so much resident memory; fails if it does not give it back. */
  async untilResident(pid: number, bytesMax: number): Promise<void> {
    await until(`process ${pid} has at most ${Math.round(bytesMax / 2 ** 20)} MiB`, async () => {
      return (await this.of(pid)).residentBytes <= bytesMax;
    });
  }

  destroy(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
