import { DedupeKeyMaker } from "../../bridge/consumer/dedupe-key.ts";
import { partitionOfKey } from "../../bridge/storage/commit-log.ts";
import { contentHash } from "../../bridge/storage/content-hash.ts";
import { type Position, START_POSITION } from "../../bridge/streams/stream-log.ts";
import { readRows } from "../support/json-lake.ts";
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

/** Of the clock that stamps objects: days, for nobody promises that it is right. */
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
  }) {
    const { random, clock, windowFaults, ignoresSpan, keepsIds } = options;
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
      // Of a stream that forgets, the lake gets to know partitions before they are read.
      retentionMs: random.chance(0.5) ? 86_400_000 : undefined,
    });
    this.window = new WindowServer(this, windowFaults);
    this.workload = new Workload({ stream: this.stream, random, clock, ignoresSpan, keepsIds });
  }

  /** G4: an id enters the window only after the commit that contains it. */
  entering(partition: number, applied: Position | null, keys: readonly string[]): void {
    this.#learnCommits();
    if (applied !== null && !this.#committedOf(partition).has(applied))
      this.#violate("early-id", `partition ${partition} is applied up to ${applied}, which is not committed`);
    for (const key of keys)
      if (!this.#committedKeys.has(key)) this.#violate("early-id", `partition ${partition} holds ${key}`);
  }

  /** Of a data file, also if another writer has replaced and deleted it. */
  bytesOf(path: string): Uint8Array | undefined {
    return this.store.objects.get(path)?.bytes ?? this.lake.replaced.get(path);
  }

  /** The clock that stamps objects is set. */
  stepStoreClock(stepMs: number): void {
    this.#storeSkewMs += stepMs;
  }

  /** It goes on with each call, so that no two objects are of the same age. */
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
    const known = this.#committed.get(partition) ?? new Set([START_POSITION]);
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
      for (const { name, adds } of Object.values(entry.tables)) {
        for (const { path } of adds) {
          const bytes = this.bytesOf(`${name}/${path}`);
          for (const row of bytes ? readRows(bytes) : []) {
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
  }
}
