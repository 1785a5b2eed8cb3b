import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { availableParallelism, cpus } from "node:os";

const tickMs = 250;
/** Time in which an admitted file shows its load before the next one follows. */
const settleMs = 1500;
const idleShareMin = 0.12;

export interface AdmissionState {
  readonly running: number;
  readonly sinceLastMs: number;
  /** Share of the machine's CPU time over the last `settleMs`. */
  readonly idleShare: number;
  readonly atLeast: number;
  readonly atMost: number;
}

export function mayBegin({ running, sinceLastMs, idleShare, atLeast, atMost }: AdmissionState): boolean {
  if (running < atLeast) return true;
  return running < atMost && sinceLastMs >= settleMs && idleShare >= idleShareMin;
}

/** Sums over all CPUs since the machine's start. */
export interface CpuTimes {
  readonly idleMs: number;
  readonly totalMs: number;
}

/** The share of idle CPU time in a sliding window. */
export class IdleShare {
  #samples: (CpuTimes & { readonly nowMs: number })[] = [];

  add(nowMs: number, times: CpuTimes): void {
    this.#samples.push({ nowMs, ...times });
    const inWindow = this.#samples.findLastIndex((sample) => nowMs - sample.nowMs >= settleMs);
    if (inWindow > 0) this.#samples = this.#samples.slice(inWindow);
  }

  /** 0 until the window is full. */
  get value(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.nowMs - first.nowMs < settleMs) return 0;
    return (last.idleMs - first.idleMs) / Math.max(1, last.totalMs - first.totalMs);
  }
}

function cpuTimes(): CpuTimes {
  const all = cpus().map(({ times }) => times);
  const idleMs = all.reduce((sum, { idle }) => sum + idle, 0);
  const busyMs = all.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0);
  return { idleMs, totalMs: idleMs + busyMs };
}

/**
 * Decides when a test file may begin, in order of arrival. One more than there are CPUs may always run, three
 * at most, because each waits now and then: for its start, its end, a disk. More may run only while these
 * leave CPU time idle, so that files that wait run side by side, and files that compute do not slow each other
 * down. Each process of a test file connects, waits for a byte, and holds its place until it ends.
 */
export class Admission {
  readonly #server: Server;
  readonly #timer: NodeJS.Timeout;
  readonly #idle = new IdleShare();
  readonly #waiting: Socket[] = [];
  readonly #limits: { readonly atLeast: number; readonly atMost: number };
  #running = 0;
  #lastMs = 0;

  private constructor(limits: { readonly atLeast: number; readonly atMost: number }) {
    this.#limits = limits;
    this.#server = createServer((connection) => this.#queue(connection));
    this.#timer = setInterval(() => {
      this.#idle.add(Date.now(), cpuTimes());
      this.#admit();
    }, tickMs);
  }

  /** @param socket Path of the Unix socket to listen on. */
  static async open(
    socket: string,
    limits = { atLeast: Math.min(3, availableParallelism() + 1), atMost: 8 },
  ): Promise<Admission> {
    const admission = new Admission(limits);
    admission.#server.listen(socket);
    await once(admission.#server, "listening");
    return admission;
  }

  close(): void {
    clearInterval(this.#timer);
    this.#server.close();
  }

  #queue(connection: Socket): void {
    this.#waiting.push(connection);
    connection.on("error", () => {}).resume();
    connection.once("close", () => {
      const at = this.#waiting.indexOf(connection);
      if (at >= 0) this.#waiting.splice(at, 1);
    });
    this.#admit();
  }

  #admit(): void {
    while (this.#waiting.length > 0) {
      const now = {
        running: this.#running,
        sinceLastMs: Date.now() - this.#lastMs,
        idleShare: this.#idle.value,
      };
      if (!mayBegin({ ...now, ...this.#limits })) return;
      const connection = this.#waiting.shift();
      if (connection) this.#begin(connection);
    }
  }

  #begin(connection: Socket): void {
    this.#running++;
    this.#lastMs = Date.now();
    connection.once("close", () => {
      this.#running--;
      this.#admit();
    });
    connection.write("1");
  }
}
