import type { Session } from "./session.ts";

const sweepEveryMs = 250;
/**
 * Connections that read on at once when the sink has room again: all of them together would fill it in the
 * same moment.
 */
const resumedPerTurn = 500;

/**
 * Looks after connections that are not read: lets them go on once there is room, and ends what has lasted too
 * long.
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

  /** The sink has room: paused connections read on, some each turn. */
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
