import { DedupeKeyMaker } from "../../bridge/lake/consumer/ids/dedupe-key.ts";
import { partitionOfKey } from "../../bridge/streams/partition-key.ts";
import { type Position, startPosition } from "../../bridge/streams/stream-log.ts";
import { contentHash } from "../../bridge/tail/content-hash.ts";
import { committedRows } from "../support/committed-rows.ts";
import { MemoryObjectStore } from "../support/memory-object-store.ts";
import { MemoryStream } from "../support/memory-stream.ts";
import { LakeRecord } from "./lake-record.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { Violation } from "./violation.ts";
import { type WindowFaults, type WindowObserver, WindowServer } from "./window-server.ts";
import { partitionCount, Workload } from "./workload.ts";

/** The world's time; processes see it with a skew. */
export interface Clock {
  nowMs: number;
}

/** Largest error of the clock that stamps objects: days, because it may be wrong. */
const skewMaxMs = 2 * 86_400_000;

/** Everything that outlives processes: the stream, the lake, the window, and the record of what happened. */
export class World implements WindowObserver {
  readonly clock: Clock;
  readonly lake = new LakeRecord((rule, detail) => this.#violate(rule, detail));
  readonly store: MemoryObjectStore;
  readonly stream: MemoryStream;
  readonly window: WindowServer;
  readonly workload: Workload;
  readonly violations: Violation[] = [];
  /** How far the clock that stamps objects is ahead of the world's. */
  #storeSkewMs: number;
  /** Committed positions by partition. */
  readonly #committed = new Map<number, Set<Position>>();
  readonly #committedKeys = new Set<string>();
  #seenCommits = 0;

  constructor(options: {
    random: SeededRandom;
    clock: Clock;
    windowFaults: WindowFaults | undefined;
    ignoresSpan: boolean;
    keepsIds: boolean;
    hasHours: boolean;
  }) {
    const { random, clock, windowFaults, ...habits } = options;
    this.clock = clock;
    this.#storeSkewMs = random.below(2 * skewMaxMs) - skewMaxMs;
    this.store = new MemoryObjectStore({
      now: () => this.#storeNowMs(),
      observe: (change) => this.lake.changed(change),
    });
    this.stream = new MemoryStream({
      partitionCount,
      streamId: "5".repeat(32),
      now: () => clock.nowMs,
      isDivisible: true,
      // If the stream deletes partitions, the lake records them before they are read.
      retentionMs: random.chance(0.5) ? 86_400_000 : undefined,
    });
    this.window = new WindowServer(this, windowFaults);
    this.workload = new Workload({ stream: this.stream, random, clock, ...habits });
  }

  /** G4: an id enters the window only after the commit that contains it. */
  entering(partition: number, applied: Position | null, keys: readonly string[]): void {
    this.#learnCommits();
    if (applied !== null && !this.#committedOf(partition).has(applied))
      this.#violate("early-id", `partition ${partition} is applied up to ${applied}, which is not committed`);
    for (const key of keys)
      if (!this.#committedKeys.has(key)) this.#violate("early-id", `partition ${partition} holds ${key}`);
  }

  /** Rows of a data file, even if another writer replaced and deleted it. */
  bytesOf(path: string): Uint8Array | undefined {
    return this.store.objects.get(path)?.bytes ?? this.lake.replaced.get(path);
  }

  /** The clock that stamps objects is set. */
  stepStoreClock(stepMs: number): void {
    this.#storeSkewMs += stepMs;
  }

  /** Advances with each call, so that no two objects have the same age. */
  #storeNowMs(): number {
    this.#storeSkewMs += 1;
    const nowMs = this.clock.nowMs + this.#storeSkewMs;
    this.lake.clockShows(nowMs);
    return nowMs;
  }

  #violate(rule: Violation["rule"], detail: string): void {
    this.violations.push({ rule, detail });
  }

  #committedOf(partition: number): Set<Position> {
    const known = this.#committed.get(partition) ?? new Set([startPosition]);
    this.#committed.set(partition, known);
    return known;
  }

  #learnCommits(): void {
    const keys = new DedupeKeyMaker();
    const target = Buffer.alloc(12);
    for (const entry of this.lake.commits.slice(this.#seenCommits)) {
      this.#seenCommits += 1;
      for (const [key, move] of Object.entries(entry.moves))
        this.#committedOf(partitionOfKey(key).partition).add(move.to);
      for (const row of committedRows((path) => this.bytesOf(path), [entry])) {
        if (row.messageId === null) continue;
        const content = row.reason === null ? {} : { contentHash: contentHash(row) };
        const { topicId, deviceId } = row;
        const messageId = Buffer.from(row.messageId, "hex");
        keys.write(target, 0, { topicId, deviceId, messageId, ...content });
        this.#committedKeys.add(target.toString("hex"));
      }
    }
  }
}
