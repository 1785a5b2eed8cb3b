import type { Position } from "../../streams/stream-log.ts";
import type { DedupWindow, WindowEntries, WindowHits, WindowStatus } from "../dedup-window.ts";
import { IdTable } from "./id-table.ts";

interface PartitionWindow {
  applied: Position | null;
  /** The seeding that is under way. */
  token: string | null;
  chunks: number;
  readonly table: IdTable;
}

/**
 * A window in the consumer's own memory: lost with the process, and seeded again from the lake.
 * Holds about 30 bytes per id. Full at `maxBytes` it forgets the ids that would expire first and shows it as `isShort`; `spanMs` is
 * then how far back the topic with the longest window is covered, any other one by as much less as its window is shorter.
 * Each call works in one go on the event loop, hence atomically.
 */
class MemoryWindow implements DedupWindow {
  readonly #tableMaxBytes: number;
  readonly #partitions = new Map<number, PartitionWindow>();

  constructor(options: MemoryWindowOptions) {
    this.#tableMaxBytes = Math.floor(options.maxBytes / options.partitionCount);
  }

  async applied(partition: number): Promise<Position | null> {
    return this.#partition(partition).applied;
  }

  async lookup(partition: number, applied: Position, keys: Uint8Array): Promise<WindowHits | null> {
    const window = this.#partition(partition);
    return window.applied === applied ? window.table.find(keys) : null;
  }

  async apply(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    entries: WindowEntries,
  ): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.applied !== step.from) return false;
    window.table.advance(step.streamTimeMs);
    window.table.add(entries);
    window.applied = step.to;
    return true;
  }

  async beginSeed(partition: number, token: string): Promise<void> {
    const window = this.#partition(partition);
    window.table.clear();
    window.applied = null;
    window.token = token;
    window.chunks = 0;
  }

  async seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.token !== token || window.chunks !== chunk) return false;
    window.table.add(entries);
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

  async status(): Promise<WindowStatus> {
    const tables = [...this.#partitions.values()].map((window) => window.table).filter(({ ids }) => ids > 0);
    const spans = tables.map((table) => table.spanSeconds * 1000);
    return {
      ids: tables.reduce((sum, table) => sum + table.ids, 0),
      bytes: tables.reduce((sum, table) => sum + table.bytes, 0),
      isShort: tables.some((table) => table.isShort),
      spanMs: spans.length === 0 ? 0 : Math.min(...spans),
    };
  }

  async close(): Promise<void> {
    for (const window of this.#partitions.values()) window.table.clear();
    this.#partitions.clear();
  }

  #partition(partition: number): PartitionWindow {
    const known = this.#partitions.get(partition);
    if (known) return known;
    const fresh = {
      applied: null,
      token: null,
      chunks: 0,
      table: new IdTable({ maxBytes: this.#tableMaxBytes }),
    };
    this.#partitions.set(partition, fresh);
    return fresh;
  }
}

export interface MemoryWindowOptions {
  /** All partitions together; each has an equal share. */
  readonly maxBytes: number;
  readonly partitionCount: number;
}

export function createMemoryWindow(options: MemoryWindowOptions): DedupWindow {
  return new MemoryWindow(options);
}
