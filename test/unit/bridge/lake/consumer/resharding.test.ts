import assert from "node:assert/strict";
import { test } from "node:test";
import { type LakeState, type Move, noCounters } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { moveOf, pastBooks } from "../../../../../bridge/lake/commit-log/past-partitions.ts";
import { recordPartitions } from "../../../../../bridge/lake/consumer/commit/record-partitions.ts";
import type { ConsumerContext } from "../../../../../bridge/lake/consumer/consumer-ports.ts";
import { PartitionCursor } from "../../../../../bridge/lake/consumer/partitions/partition-cursor.ts";
import {
  inheritanceOf,
  readablePartitions,
} from "../../../../../bridge/lake/consumer/partitions/readable-partitions.ts";
import { endPosition } from "../../../../../bridge/streams/stream-log.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { MemoryStream } from "../../../../support/memory-stream.ts";

const startMs = Date.UTC(2026, 10, 29);
const halfDayMs = 12 * 3_600_000;
/** As many as Kinesis lists for a day; older divided shards are forgotten. */
const listedMs = 2 * halfDayMs;
const producers = 10;
const boots = 3;
const names = (of: string, count: number, round: number) =>
  Array.from({ length: count }, (_, index) => `${of}${round}-${String(index).padStart(10, "0")}`);

/**
 * A fleet's consumer as the lake sees it: reads each partition whole in one commit, while the stream is
 * divided twice a day.
 */
class Resharded {
  readonly stream = new MemoryStream({ partitionCount: 4, streamId: "ab".repeat(16), isDivisible: true });
  readonly store = new MemoryObjectStore();
  readonly handle = Object.assign(this.stream.open(), { retentionMs: listedMs });
  readonly #log = openCommitLog(this.store, { create: true, retentionMs: 0 });
  #read = 0;
  #rounds = 0;

  get read(): number {
    return this.#read;
  }

  async state(): Promise<LakeState> {
    return (await this.#log).load();
  }

  /** The oldest shards are forgotten, and two partitions are merged or one is split. */
  async reshard(): Promise<void> {
    const round = ++this.#rounds;
    const [first = 0, second = 0] = this.stream.openPartitions().slice(Math.floor((round - 1) / 2) % 4);
    if (round % 2) this.stream.split(first);
    else this.stream.merge(first, second);
    for (const { partition } of this.stream.partitions.all)
      if (partition < 1.5 * (round - 4) && this.stream.isClosed(partition)) this.stream.forget(partition);
    this.stream.announce();
    await this.#readAll();
  }

  /** Parents first. */
  async #readAll(): Promise<void> {
    const commitLog = await this.#log;
    const context = { stream: this.handle, commitLog, elapsedMs: () => 0, now: () => 0 };
    let lake = await recordPartitions(context as unknown as ConsumerContext);
    const done = new Set<number>();
    for (;;) {
      const { readable, waiting } = readablePartitions(this.handle, lake);
      const next = readable.filter((partition) => !done.has(partition));
      if (next.length === 0) return assert.deepEqual(waiting, []);
      const moves = next.map((partition) => [this.#key(partition), this.#moveOf(partition, lake)] as const);
      for (const partition of next) done.add(partition);
      const number = lake.number + 1;
      const entry = { format: 4, number, commitId: `c${number}`, committedAtMs: 0, tables: {} } as const;
      const { outcome } = await commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
      assert.equal(outcome, "committed");
      await commitLog.maintain({ publishedUpTo: number, settled: new Map(), retainMs: -1 });
      lake = await commitLog.load();
    }
  }

  #key(partition: number): string {
    return new PartitionCursor(this.stream.streamId, partition).key;
  }

  #moveOf(partition: number, lake: LakeState): Move {
    const cursor = new PartitionCursor(this.stream.streamId, partition);
    cursor.rewind(moveOf(lake, cursor.key));
    cursor.inherit(inheritanceOf(this.handle, lake, partition));
    const nowMs = startMs + this.#rounds * halfDayMs;
    const day = Math.floor(this.#rounds / 2);
    cursor.position = this.stream.isClosed(partition) ? endPosition : String(this.#rounds);
    cursor.streamTimeMs = nowMs;
    const boot = { offsetMs: 0, provenAtMs: nowMs, provenBlock: 1, seenAtMs: nowMs };
    const lines = Object.fromEntries(names("b", boots, day).map((name) => [name, boot]));
    cursor.clock = { blocks: 9, aloneSince: 1, boot: "b", rowTimeMs: nowMs, boots: lines };
    const mark = { lastSequence: 123_456, ackedMessages: 9_999_999, seenAtMs: nowMs, block: 99_999 };
    for (const name of names("p", producers, day)) cursor.producers.set(name, mark);
    this.#read += 10;
    cursor.counters.read += 10;
    cursor.counters.filed += 10;
    return cursor.move();
  }

  snapshotBytes(): number {
    const [newest] = [...this.store.objects]
      .filter(([path]) => path.startsWith("_commits/snapshots/"))
      .map(([, { bytes }]) => bytes.length)
      .toReversed();
    return newest ?? 0;
  }
}

test("a log of 1,000 reshardings keeps snapshots, memory and its books bounded", async () => {
  const resharded = new Resharded();
  const sizes: { bytes: number; moves: number; rows: number }[] = [];
  for (let round = 1; round <= 1000; round++) {
    await resharded.reshard();
    if (round % 200 !== 0) continue;
    const { moves, past } = await resharded.state();
    const rows = Object.keys(past.get(resharded.stream.streamId)?.rows ?? {}).length;
    sizes.push({ bytes: resharded.snapshotBytes(), moves: moves.size, rows });
  }
  const [first, ...later] = sizes;
  assert.ok(first);
  for (const size of later) {
    assert.equal(size.moves, first.moves, "open ones alone");
    assert.ok(Math.abs(size.bytes - first.bytes) < first.bytes / 4, JSON.stringify(sizes));
    assert.ok(size.rows <= 30, "of 8 days");
  }
  const state = await resharded.state();
  const { partitions, counters } = pastBooks(state, resharded.stream.streamId);
  assert.equal(partitions, 1500);
  const living = [...state.moves.values()].reduce((sum, move) => sum + move.counters.read, 0);
  assert.equal(counters.read + living, resharded.read);
  assert.deepEqual(counters, { ...noCounters, read: counters.read, filed: counters.read });
});
