import type { Session } from "./session.ts";

const sweepEveryMs = 250;
/**
 * Connections that resume at once when the sink has room again. All of them together would fill the sink in
 * the same moment.
 */
const resumedPerTurn = 500;

/**
 * Checks paused connections: resumes them once there is room, and ends those that were paused for too long.
 */
export class SessionSweep {
  readonly #paused: Set<Session>;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: { paused: Set<Session>; now: () => number }) {
    this.#paused = options.paused;
    this.#now = options.now;
  }

  start(): void {
    this.#timer = setInterval(() => this.#sweep(), sweepEveryMs);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The sink has room: paused connections resume, some in each turn. */
  resumeAll(): void {
    let resumed = 0;
    for (const session of [...this.#paused]) {
      if (resumed++ >= resumedPerTurn) {
        setImmediate(() => this.resumeAll());
        return;
      }
      this.#resume(session);
    }
  }

  #sweep(): void {
    const nowMs = this.#now();
    for (const session of this.#paused) {
      this.#resume(session);
      session.checkPatience(nowMs);
    }
  }

  #resume(session: Session): void {
    if (session.client.closed) this.#paused.delete(session);
    else session.resumeIfRoom();
  }
}
