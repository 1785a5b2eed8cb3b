import type { Position } from "../../streams/stream-log.ts";
import type { DedupWindow, ExactIds, WindowEntries, WindowHits, WindowStatus } from "../dedup-window.ts";
import { EpochTable } from "./epoch-table.ts";
import { IdTable } from "./id-table.ts";

/** Of the bytes, for devices in exact mode, which are never forgotten by time; the rest, and what they leave, is for ids. */
const EPOCHS_SHARE_MAX = 1 / 2;

interface PartitionWindow {
  applied: Position | null;
  /** The seeding that is under way. */
  token: string | null;
  chunks: number;
  readonly table: IdTable;
  readonly epochs: EpochTable;
}

/**
 * A window in the consumer's own memory: lost with the process, and seeded again from the lake.
 * Holds about 30 bytes per id. Full at `maxBytes` it forgets the ids that would expire first and shows it as `isShort`; `spanMs` is
 * then how far back the topic with the longest window is covered, any other one by as much less as its window is shorter.
 * Devices in exact mode take about 85 bytes for each epoch, and at most half of `maxBytes`: then those seen least lately are forgotten,
 * and it is short until it is seeded again with more room.
 * Each call works in one go on the event loop, hence atomically.
 */
class MemoryWindow implements DedupWindow {
  readonly #maxBytes: number;
  readonly #partitionCount: number;
  readonly #partitions = new Map<number, PartitionWindow>();

  constructor(options: MemoryWindowOptions) {
    this.#maxBytes = options.maxBytes;
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
    this.#partitions.delete(partition);
  }

  async status(): Promise<WindowStatus> {
    const windows = [...this.#partitions.values()];
    const tables = windows.map((window) => window.table).filter(({ ids }) => ids > 0);
    const spans = tables.map((table) => table.spanSeconds * 1000);
    return {
      ids: tables.reduce((sum, table) => sum + table.ids, 0),
      epochs: windows.reduce((sum, { epochs }) => sum + epochs.epochs, 0),
      bytes:
        tables.reduce((sum, table) => sum + table.bytes, 0) +
        windows.reduce((sum, { epochs }) => sum + epochs.bytes, 0),
      isShort: windows.some(({ table, epochs }) => (table.ids > 0 && table.isShort) || epochs.isShort),
      spanMs: spans.length === 0 ? 0 : Math.min(...spans),
    };
  }

  async close(): Promise<void> {
    for (const { table, epochs } of this.#partitions.values()) {
      table.clear();
      epochs.clear();
    }
    this.#partitions.clear();
  }

  #partition(partition: number): PartitionWindow {
    const known = this.#partitions.get(partition);
    if (known) return known;
    const maxBytes = () => Math.floor(this.#maxBytes / Math.max(this.#partitionCount, this.#partitions.size));
    const epochs = new EpochTable({ maxBytes: () => Math.floor(maxBytes() * EPOCHS_SHARE_MAX) });
    const table = new IdTable({ maxBytes: () => maxBytes() - epochs.bytes });
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
  /** All partitions together; each has an equal share. One that was large before there were more of them stays so until it grows. */
  readonly maxBytes: number;
  /** How many there are at first. */
  readonly partitionCount: number;
}

export function createMemoryWindow(options: MemoryWindowOptions): DedupWindow {
  return new MemoryWindow(options);
}
