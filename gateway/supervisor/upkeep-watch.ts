import type { ChildStatus } from "../status/child-status.ts";
import type { UpkeepProcessStatus } from "../status/gateway-status.ts";
import { lastingTexts, SeenTroubles } from "./lasting-troubles.ts";
import { silenceOf } from "./stuck-work.ts";

export interface UpkeepWatchOptions {
  /** null = this gateway runs no upkeep. */
  readonly child: () => ChildStatus | null;
  /** null = the upkeep does not answer. */
  readonly ask: () => Promise<UpkeepProcessStatus | null>;
  readonly stuckAfterMs: number;
  /** ms of a monotonic clock. */
  readonly elapsedMs: () => number;
}

const intervalMaxMs = 5_000;
/** One crash may be chance. Work that crashes its process each time is not. */
const endsToTell = 3;

/**
 * Polls the status of the upkeep, so that requests of monitors never wait for it. Reports upkeep that does
 * not run or fails for long: acknowledgements and filing go on, but the lake grows.
 */
export class UpkeepWatch {
  readonly #options: UpkeepWatchOptions;
  readonly #troubles = new SeenTroubles();
  #timer: NodeJS.Timeout | undefined;
  #isAsking = false;
  /** Restarts of the process when work had last succeeded. */
  #restartsBefore = 0;

  constructor(options: UpkeepWatchOptions) {
    this.#options = options;
  }

  start(): void {
    const intervalMs = Math.min(intervalMaxMs, this.#options.stuckAfterMs / 4);
    this.#timer = setInterval(() => void this.look().catch(() => {}), intervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  degraded(): string[] {
    return lastingTexts(this.#troubles.all, this.#options.elapsedMs(), this.#options.stuckAfterMs);
  }

  async look(): Promise<void> {
    const { child, ask } = this.#options;
    if (this.#isAsking || child() === null) return;
    this.#isAsking = true;
    const status = await ask().finally(() => {
      this.#isAsking = false;
    });
    this.saw(status);
  }

  /** Takes over a status that another caller has requested. */
  saw(status: UpkeepProcessStatus | null): void {
    const { child, elapsedMs } = this.#options;
    const state = child();
    if (!state) return;
    if (status?.last) this.#restartsBefore = state.restarts;
    const ends = state.restarts - this.#restartsBefore;
    this.#troubles.look([...endsOf(state, ends), ...troublesOf(state, status)], elapsedMs());
  }
}

function* endsOf({ lastExit }: ChildStatus, ends: number): Generator<[key: string, text: string]> {
  if (ends < endsToTell) return;
  const how = lastExit ? ` (last with ${lastExit.signal ?? `code ${lastExit.code}`})` : "";
  yield ["ends", `upkeep: the process has ended ${ends} times${how} and finished no work meanwhile`];
}

function* troublesOf(
  child: ChildStatus,
  status: UpkeepProcessStatus | null,
): Generator<[key: string, text: string]> {
  // Before the first start of broker and consumer, and at the end.
  if (child.state === "stopped" || child.state === "stopping") return;
  if (!status) yield ["process", `upkeep: the process is ${child.state}: ${silenceOf(child)}`];
  if (status && status.state !== "standing-by") yield* workTroublesOf(status);
  const failure = status?.lease?.failure;
  if (failure) yield ["lease", `upkeep: its lease can't be renewed: ${failure.code}: ${failure.message}`];
}

/** Another gateway does the work while this one stands by: what this one saw before may be over. */
function* workTroublesOf({
  failure,
  leftAlone,
}: UpkeepProcessStatus): Generator<[key: string, text: string]> {
  if (failure) {
    const { work, code, message } = failure;
    yield [`work ${work}`, `upkeep: the ${work} of the lake fails: ${code}: ${message}`];
  }
  for (const { table, reason, wayOut } of leftAlone)
    yield [
      `retention ${table}`,
      `retention: no rows of table ${table} are removed: ${reason}. Way out: ${wayOut}`,
    ];
}
