import type { Position } from "../../../streams/stream-log.ts";
import type { DedupWindow, ExactIds, WindowEntries, WindowHits, WindowStatus } from "../dedup-window.ts";
import { EpochTable } from "./epoch-table.ts";
import { IdTable } from "./id-table.ts";
import { WindowMemory } from "./window-memory.ts";

interface PartitionWindow {
  applied: Position | null;
  /** Token of the seeding in progress. */
  token: string | null;
  chunks: number;
  readonly table: IdTable;
  readonly epochs: EpochTable;
}

/**
 * A window in the consumer's memory: lost with the process, and then seeded from the lake. It takes about 30
 * bytes per id. Once all partitions together take `maxBytes`, the window forgets the oldest ids, see
 * `WindowMemory`.
 *
 * Devices in exact mode take about 85 bytes per epoch, and at most half of `maxBytes`. Above that, the epochs
 * with the oldest messages are forgotten, and the window is short until it is seeded with more room. Each
 * call is atomic, because it does not yield to the event loop.
 */
class MemoryWindow implements DedupWindow {
  readonly #memory: WindowMemory;
  readonly #partitionCount: number;
  readonly #partitions = new Map<number, PartitionWindow>();

  constructor(options: MemoryWindowOptions) {
    this.#memory = new WindowMemory(options.maxBytes);
    this.#partitionCount = options.partitionCount;
  }

  async applied(partition: number): Promise<Position | null> {
    return this.#partition(partition).applied;
  }

  async lookup(
    partition: number,
    applied: Position,
    keys: Uint8Array,
    exact?: ExactIds,
  ): Promise<WindowHits | null> {
    const window = this.#partition(partition);
    if (window.applied !== applied) return null;
    const known = exact ? window.epochs.find(exact) : new Uint8Array(0);
    return { ...window.table.find(keys), known };
  }

  async apply(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    entries: WindowEntries,
  ): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.applied !== step.from) return false;
    window.table.advance(step.streamTimeMs);
    add(window, entries);
    window.applied = step.to;
    return true;
  }

  async beginSeed(partition: number, token: string): Promise<void> {
    const window = this.#partition(partition);
    window.table.clear();
    window.epochs.clear();
    window.applied = null;
    window.token = token;
    window.chunks = 0;
  }

  async seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.token !== token || window.chunks !== chunk) return false;
    add(window, entries);
    window.chunks += 1;
    return true;
  }

  async endSeed(
    partition: number,
    token: string,
    end: { chunks: number; applied: Position; streamTimeMs: number },
  ): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.token !== token || window.chunks !== end.chunks) return false;
    window.table.advance(end.streamTimeMs);
    window.applied = end.applied;
    window.token = null;
    return true;
  }

  async forget(partition: number): Promise<void> {
    const window = this.#partitions.get(partition);
    if (!window) return;
    window.epochs.clear();
    window.table.clear();
    this.#memory.remove(window.table);
    this.#partitions.delete(partition);
  }

  idle(partition: number, nowMs: number): void {
    this.#partitions.get(partition)?.table.idle(nowMs);
  }

  async status(): Promise<WindowStatus> {
    const windows = [...this.#partitions.values()];
    const used = windows.map(({ table }) => table).filter((table) => !table.isNew);
    const spans = used.map((table) => table.spanSeconds * 1000);
    return {
      ids: used.reduce((sum, table) => sum + table.ids, 0),
      epochs: windows.reduce((sum, { epochs }) => sum + epochs.epochs, 0),
      bytes: this.#memory.bytes,
      isShort: used.some(({ isShort }) => isShort) || windows.some(({ epochs }) => epochs.isShort),
      spanMs: spans.length === 0 ? 0 : Math.min(...spans),
      devicesOverShare: [...new Set(used.flatMap(({ devicesOverShare }) => devicesOverShare))],
    };
  }

  async close(): Promise<void> {
    for (const partition of [...this.#partitions.keys()]) await this.forget(partition);
  }

  #partition(partition: number): PartitionWindow {
    const known = this.#partitions.get(partition);
    if (known) return known;
    const epochs = new EpochTable(this.#memory);
    const table = new IdTable(this.#memory, this.#partitionCount);
    this.#memory.add(table);
    const fresh = { applied: null, token: null, chunks: 0, table, epochs };
    this.#partitions.set(partition, fresh);
    return fresh;
  }
}

function add({ table, epochs }: PartitionWindow, entries: WindowEntries): void {
  table.add(entries);
  if (entries.exact) epochs.add(entries.exact);
}

export interface MemoryWindowOptions {
  /** Bound for all partitions together. */
  readonly maxBytes: number;
  /** Estimated number of partitions; only table sizes depend on it. */
  readonly partitionCount: number;
}

export function createMemoryWindow(options: MemoryWindowOptions): DedupWindow {
  return new MemoryWindow(options);
}
