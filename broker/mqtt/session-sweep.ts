import type { RefusalLog } from "../ingest/refusal-log.ts";
import type { Session } from "./session.ts";

const sweepEveryMs = 250;
/** Connections that read on at once when the sink has room again: all of them together would fill it in the same moment. */
const resumedPerTurn = 500;

/** Looks after sessions whose messages are held: deadlines, and reading on once there is room. Ends the refusals' minutes, too. */
export class SessionSweep {
  readonly #sessions: ReadonlySet<Session>;
  readonly #paused: Set<Session>;
  readonly #now: () => number;
  readonly #refusals: Pick<RefusalLog, "checkMinute">;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: {
    sessions: ReadonlySet<Session>;
    paused: Set<Session>;
    now: () => number;
    refusals: Pick<RefusalLog, "checkMinute">;
  }) {
    this.#sessions = options.sessions;
    this.#paused = options.paused;
    this.#now = options.now;
    this.#refusals = options.refusals;
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
    this.#refusals.checkMinute();
    for (const session of this.#sessions) session.checkDeadlines(nowMs);
    for (const session of this.#paused) {
      this.#resume(session);
      session.checkDeadlines(nowMs);
    }
  }

  #resume(session: Session): void {
    if (session.client.closed) this.#paused.delete(session);
    else session.resumeIfRoom();
  }
}
