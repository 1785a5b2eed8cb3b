import { deviceNumber } from "../../bridge/lake/consumer/ids/id-facts.ts";
import type { DedupWindow, WindowEntries, WindowStatus } from "../../bridge/lake/window/dedup-window.ts";
import { windowKeys } from "../contract/dedup-window-contract.ts";

const baseSeconds = 1_700_000_000;

/** Fills a window by names, and asks which of them the window has forgotten. */
export class ShortWindow {
  readonly #window: DedupWindow;
  readonly #applied = new Map<number, number>();

  constructor(window: DedupWindow) {
    this.#window = window;
  }

  async start(partition: number, second = 0): Promise<void> {
    await this.#window.beginSeed(partition, "t");
    const streamTimeMs = (baseSeconds + second) * 1000;
    await this.#window.endSeed(partition, "t", { chunks: 0, applied: "0", streamTimeMs });
    this.#applied.set(partition, 0);
  }

  async apply(
    partition: number,
    ids: readonly string[],
    more: {
      second: number;
      deviceOf?: (id: string) => string;
      windowSeconds?: number;
      exactDevices?: readonly string[];
    },
  ): Promise<void> {
    const { second, deviceOf = (id) => id, windowSeconds = 3600, exactDevices = [] } = more;
    const from = this.#applied.get(partition) ?? 0;
    this.#applied.set(partition, from + 1);
    const filedAt = baseSeconds + second;
    const entries: WindowEntries = {
      length: ids.length,
      keys: windowKeys(...ids),
      contentHashes: new Uint32Array(ids.length).fill(7),
      expiresAtSeconds: new Uint32Array(ids.length).fill(filedAt + windowSeconds),
      filedAtSeconds: new Uint32Array(ids.length).fill(filedAt),
      devices: Uint16Array.from(ids, (id) => deviceNumber(deviceOf(id))),
    };
    const length = exactDevices.length;
    const exact = {
      length,
      deviceKeys: windowKeys(...exactDevices),
      epochs: new Uint8Array(length * 8),
      sequences: new Float64Array(length).fill(7),
      seenAtSeconds: new Uint32Array(length).fill(filedAt),
    };
    const step = { from: String(from), to: String(from + 1), streamTimeMs: filedAt * 1000 };
    if (!(await this.#window.apply(partition, step, length > 0 ? { ...entries, exact } : entries)))
      throw new Error("the window was not at its position");
  }

  /** Everything of the partition is filed. */
  idle(partition: number, second: number): void {
    this.#window.idle?.(partition, second * 1000);
  }

  /** Number of these names that the window does not know. */
  async missing(partition: number, ids: readonly string[]): Promise<number> {
    const hits = await this.#window.lookup(
      partition,
      String(this.#applied.get(partition)),
      windowKeys(...ids),
    );
    return hits ? hits.expiresAtSeconds.filter((expiry) => expiry === 0).length : ids.length;
  }

  /** The names that the window does not know. */
  async missingOf<Id extends { readonly id: string; readonly partition: number }>(
    ids: readonly Id[],
  ): Promise<Id[]> {
    const missing: Id[] = [];
    for (const partition of new Set(ids.map((each) => each.partition))) {
      const asked = ids.filter((each) => each.partition === partition);
      const keys = windowKeys(...asked.map(({ id }) => id));
      const hits = await this.#window.lookup(partition, String(this.#applied.get(partition)), keys);
      missing.push(...asked.filter((_, index) => !hits?.expiresAtSeconds[index]));
    }
    return missing;
  }

  status(): Promise<WindowStatus> {
    return this.#window.status();
  }
}
