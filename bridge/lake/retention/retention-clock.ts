import { BridgeError } from "../../errors.ts";
import type { ObjectStore } from "../stores/object-store.ts";

const hourMs = 3_600_000;
/** How far this machine's clock and that of the store may be apart. */
const differenceMaxMs = hourMs;
/** A clock that jumped ahead counts only if it stands that long: a jump must not delete rows. */
const believedAfterMs = 24 * hourMs;
/** The looks of so much time are kept as one, the lowest. */
const keptTogetherMs = hourMs;
/** Bounds the looks in memory. */
const looksMax = believedAfterMs / keptTogetherMs + 2;

export interface RetentionClockOptions {
  readonly store: Pick<ObjectStore, "now">;
  /** This machine's clock. */
  readonly now: () => number;
  /** Monotonic, ms. */
  readonly elapsedMs: () => number;
  /** Time between the first look and one that counts. */
  readonly apartMs: number;
}

/** What the clocks say, ms since the epoch. */
export interface AgreedTime {
  /** Hours before it are over, by every clock and each recent look. Null = the first look was too short ago. */
  readonly overMs: number | null;
  /** By the clock that stamps objects. */
  readonly storeMs: number;
}

interface Look {
  readonly atMs: number;
  /** Agreed time minus `elapsedMs`: constant while the clocks go right. */
  readonly offsetMs: number;
}

/**
 * The time by which retention decides. Never later than the clock of the store, this machine's clock, or what the
 * looks of the last day say once the time that elapsed since is added. So neither a wrong clock nor one that jumps
 * for a moment makes an hour over.
 */
export class RetentionClock {
  readonly #options: RetentionClockOptions;
  #looks: Look[] = [];
  #firstAtMs: number | null = null;

  constructor(options: RetentionClockOptions) {
    this.#options = options;
  }

  /** Rejects with CLOCKS_DIFFER (retryable) if the clocks differ by more than an hour. */
  async look(): Promise<AgreedTime> {
    const { store, now, elapsedMs, apartMs } = this.#options;
    const before = now();
    const storeMs = await store.now();
    const localMs = Math.min(before, now());
    if (Math.abs(storeMs - before) > differenceMaxMs || Math.abs(storeMs - localMs) > differenceMaxMs)
      throw clocksDiffer(storeMs, localMs);
    const atMs = elapsedMs();
    this.#firstAtMs ??= atMs;
    this.#note({ atMs, offsetMs: Math.min(storeMs, localMs) - atMs });
    const overMs = Math.floor(atMs + Math.min(...this.#looks.map(({ offsetMs }) => offsetMs)));
    return { overMs: atMs - this.#firstAtMs < apartMs ? null : overMs, storeMs };
  }

  #note(look: Look): void {
    this.#looks = this.#looks.filter(({ atMs }) => look.atMs - atMs <= believedAfterMs);
    const last = this.#looks.at(-1);
    if (!last || look.atMs - last.atMs >= keptTogetherMs) this.#looks.push(look);
    else if (look.offsetMs < last.offsetMs)
      this.#looks[this.#looks.length - 1] = { ...last, offsetMs: look.offsetMs };
    if (this.#looks.length > looksMax) this.#looks.shift();
  }
}

function clocksDiffer(storeMs: number, localMs: number): BridgeError {
  const [store, local] = [storeMs, localMs].map((ms) => new Date(ms).toISOString());
  return new BridgeError(
    "CLOCKS_DIFFER",
    `the clock of the lake's store says ${store}, this machine's says ${local}: retention removes no rows until they differ by less than an hour.`,
    { retryable: true, details: { storeMs, localMs } },
  );
}
