import {
  type DedupWindow,
  dedupKeyBytes,
  type ExactIds,
  exactEpochBytes,
  type WindowEntries,
  type WindowHits,
  type WindowStatus,
} from "../../bridge/lake/window/dedup-window.ts";
import type { Position } from "../../bridge/streams/stream-log.ts";
import { type ExactId, ExactModel } from "../support/exact-model.ts";

interface Known {
  contentHash: number;
  expiresAtSeconds: number;
}

interface PartitionWindow {
  applied: Position | null;
  token: string | null;
  chunks: number;
  /** The apply that is under way, and the number of its parts so far. */
  applying: { readonly token: string; readonly parts: number } | null;
  ids: Map<string, Known>;
  exact: ExactModel;
}

/** One step of applying a big commit. */
export interface ApplyPart {
  readonly token: string;
  readonly index: number;
  readonly isLast: boolean;
}

/** Called with all ids before they enter the window. */
export interface WindowObserver {
  entering(partition: number, applied: Position | null, keys: readonly string[]): void;
}

/** Each of these breaks one rule of the DedupWindow port. */
export interface WindowFaults {
  /** Answers look-ups and applies ids at any `applied` position. */
  readonly ignoresApplied?: boolean;
  /** Applying does not compare `from`. */
  readonly appliesUnguarded?: boolean;
  /** Applying does not count its parts. */
  readonly appliesUncounted?: boolean;
  /** Seeding does not compare the token. */
  readonly seedsUnguarded?: boolean;
  /** Seeding does not count the chunks. */
  readonly seedsUncounted?: boolean;
  /** Ids are forgotten by this clock. */
  readonly wallClockMs?: () => number;
  /** With so many ids, forgets a part of them without telling. */
  readonly forgets?: { readonly idsMax: number; readonly part: "newest" | "all" };
}

/** A window that outlives its users, like one on Redis: a plain map, which can be lost or rolled back. */
export class WindowServer implements DedupWindow {
  readonly #faults: WindowFaults;
  readonly #observer: WindowObserver;
  #partitions = new Map<number, PartitionWindow>();
  #backup = new Map<number, PartitionWindow>();

  constructor(observer: WindowObserver, faults: WindowFaults = {}) {
    this.#observer = observer;
    this.#faults = faults;
  }

  lose(): void {
    this.#partitions = new Map();
  }

  /** True while a commit is being applied, or the window seeded. */
  get isPartWay(): boolean {
    return [...this.#partitions.values()].some(({ applying, token }) => applying !== null || token !== null);
  }

  /** Remembers the present state for `rollBack`. */
  backUp(): void {
    this.#backup = copyOf(this.#partitions);
  }

  rollBack(): void {
    this.#partitions = copyOf(this.#backup);
  }

  /** Adds ids without any condition, only to break the protocol in tests of the checkers. */
  claim(partition: number, entries: WindowEntries): void {
    this.#observer.entering(partition, null, keyTexts(entries.keys));
    this.#add(this.#partition(partition), entries);
  }

  async applied(partition: number, committed: Position): Promise<Position | null> {
    const { applied, applying } = this.#partition(partition);
    return applying && applied === committed ? null : applied;
  }

  async lookup(
    partition: number,
    applied: Position,
    keys: Uint8Array,
    exact?: ExactIds,
  ): Promise<WindowHits | null> {
    const window = this.#partition(partition);
    const isExact = window.applied === applied && window.applying === null;
    if (!isExact && !this.#faults.ignoresApplied) return null;
    const found = keyTexts(keys).map((key) => window.ids.get(key));
    const { wallClockMs } = this.#faults;
    const isForgotten = (known: Known | undefined) =>
      known !== undefined && wallClockMs !== undefined && known.expiresAtSeconds * 1000 <= wallClockMs();
    return {
      contentHashes: Uint32Array.from(found, (known) => known?.contentHash ?? 0),
      expiresAtSeconds: Uint32Array.from(found, (known) =>
        isForgotten(known) ? 0 : (known?.expiresAtSeconds ?? 0),
      ),
      known: Uint8Array.from(exactIdsOf(exact), (id) => (window.exact.knows(id) ? 1 : 0)),
    };
  }

  async forget(partition: number): Promise<void> {
    this.#partitions.delete(partition);
  }

  async apply(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    entries: WindowEntries,
  ): Promise<boolean> {
    return this.applyPart(partition, step, { token: "", index: 0, isLast: true }, entries);
  }

  async applyPart(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    part: ApplyPart,
    entries: WindowEntries,
  ): Promise<boolean> {
    const window = this.#partition(partition);
    const { ignoresApplied, appliesUnguarded, appliesUncounted } = this.#faults;
    if (window.applied !== step.from && !ignoresApplied && !appliesUnguarded) return false;
    const { applying } = window;
    const isInTurn = part.index === 0 || (applying?.token === part.token && applying.parts === part.index);
    if (!isInTurn && !appliesUncounted) return false;
    this.#observer.entering(partition, step.to, keyTexts(entries.keys));
    this.#add(window, entries);
    window.applying = part.isLast ? null : { token: part.token, parts: part.index + 1 };
    if (part.isLast) window.applied = step.to;
    for (const [key, { expiresAtSeconds }] of window.ids)
      if (expiresAtSeconds * 1000 <= step.streamTimeMs) window.ids.delete(key);
    return true;
  }

  async beginSeed(partition: number, token: string): Promise<void> {
    this.#partitions.set(partition, { ...emptyWindow(), token });
  }

  async seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.token !== token && !this.#faults.seedsUnguarded) return false;
    if (window.chunks !== chunk && !this.#faults.seedsUnguarded && !this.#faults.seedsUncounted) return false;
    window.chunks += 1;
    this.#observer.entering(partition, null, keyTexts(entries.keys));
    this.#add(window, entries);
    return true;
  }

  async endSeed(
    partition: number,
    token: string,
    end: { chunks: number; applied: Position; streamTimeMs: number },
  ): Promise<boolean> {
    const window = this.#partition(partition);
    if (window.token !== token && !this.#faults.seedsUnguarded) return false;
    if (window.chunks !== end.chunks && !this.#faults.seedsUnguarded && !this.#faults.seedsUncounted)
      return false;
    this.#observer.entering(partition, end.applied, []);
    window.token = null;
    window.applied = end.applied;
    return true;
  }

  async status(): Promise<WindowStatus> {
    const ids = [...this.#partitions.values()].reduce((sum, window) => sum + window.ids.size, 0);
    const epochs = [...this.#partitions.values()].reduce((sum, window) => sum + window.exact.epochs, 0);
    return { ids, epochs, bytes: ids * dedupKeyBytes, isShort: false, spanMs: 0, devicesOverShare: [] };
  }

  async close(): Promise<void> {}

  #add(window: PartitionWindow, entries: WindowEntries): void {
    for (const id of exactIdsOf(entries.exact)) window.exact.add(id);
    for (const [index, key] of keyTexts(entries.keys).entries()) {
      const expiresAtSeconds = entries.expiresAtSeconds[index] ?? 0;
      if (expiresAtSeconds <= (window.ids.get(key)?.expiresAtSeconds ?? 0)) continue;
      const { idsMax = Number.POSITIVE_INFINITY, part } = this.#faults.forgets ?? {};
      if (window.ids.size >= idsMax && part === "newest") continue;
      if (window.ids.size >= idsMax) window.ids.clear();
      window.ids.set(key, { contentHash: entries.contentHashes[index] ?? 0, expiresAtSeconds });
    }
  }

  #partition(partition: number): PartitionWindow {
    const known = this.#partitions.get(partition);
    if (known) return known;
    const fresh = emptyWindow();
    this.#partitions.set(partition, fresh);
    return fresh;
  }
}

function emptyWindow(): PartitionWindow {
  return { applied: null, token: null, chunks: 0, applying: null, ids: new Map(), exact: new ExactModel() };
}

function exactIdsOf(exact: ExactIds | undefined): ExactId[] {
  if (!exact) return [];
  const epochs = Buffer.from(exact.epochs);
  return keyTexts(exact.deviceKeys).map((device, index) => ({
    device,
    epoch: epochs.toString("hex", index * exactEpochBytes, (index + 1) * exactEpochBytes),
    sequence: exact.sequences[index] as number,
    seenAtSeconds: exact.seenAtSeconds[index] as number,
  }));
}

export function keyTexts(keys: Uint8Array): string[] {
  const bytes = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
  const count = bytes.length / dedupKeyBytes;
  return Array.from({ length: count }, (_, index) =>
    bytes.toString("hex", index * dedupKeyBytes, (index + 1) * dedupKeyBytes),
  );
}

function copyOf(partitions: Map<number, PartitionWindow>): Map<number, PartitionWindow> {
  return new Map(
    [...partitions].map(([partition, window]) => [
      partition,
      { ...window, ids: new Map(window.ids), exact: window.exact.copy() },
    ]),
  );
}
