import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Registry } from "prom-client";
import { quarantineKey, type TableAdds } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { LakeCommitLog, openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { lanes } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { DeltaTable } from "../../../../../bridge/lake/delta/delta-table.ts";
import { settleRound } from "../../../../../bridge/lake/settle/settle-round.ts";
import { SettleTables } from "../../../../../bridge/lake/settle/settle-tables.ts";
import { openTopicCatalog, writeTopicVersion } from "../../../../../bridge/lake/topic-versions.ts";
import { SeededRandom } from "../../../../simulation/seeded-random.ts";
import { dataFileName, jsonCheckpoints, readRows } from "../../../../support/json-lake.ts";
import { createJsonRowFiles, JsonLandingWriter } from "../../../../support/json-landing.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";
import { makeRow, makeTopic, silentLogger, startMs } from "../../../../support/test-lake.ts";

const hourMs = 3_600_000;
const topics = [
  makeTopic({ topicId: "a-1", name: "a" }),
  makeTopic({ topicId: "b-1", name: "b" }),
  makeTopic({ topicId: "a-2", name: "a" }),
];
const names = ["a", "b", quarantineKey];

/** A lake in memory. Calls of settling processes wait for a random time and fail at random. */
class RandomLake {
  readonly store = new MemoryObjectStore();
  readonly rows = new Map<string, string[]>(names.map((name) => [name, []]));
  readonly #random: SeededRandom;
  #file = 0;
  #row = 0;

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  readonly nextFile = () => dataFileName(++this.#file);

  async #fault() {
    for (let turns = this.#random.below(4); turns > 0; turns--) await nextTurn();
    if (!this.#random.chance(0.01)) return null;
    return this.#random.pick(["before", "after"] as const);
  }

  async openProcess(isCalm = false): Promise<SettleTables> {
    const { objects } = this.store;
    const store = isCalm ? this.store : new MemoryObjectStore({ objects, fault: () => this.#fault() });
    return new SettleTables({
      store,
      commitLog: await openCommitLog(this.store, { create: false }).then(
        ({ lakeId }) => new LakeCommitLog(store, lakeId, { create: false }),
      ),
      topics: await openTopicCatalog(this.store),
      rowFiles: createJsonRowFiles(store, this.nextFile),
      checkpoints: jsonCheckpoints(store),
      checkpointEntries: 10,
      logger: silentLogger,
      registry: new Registry(),
      now: Date.now,
      elapsedMs: (() => {
        let elapsedMs = 0;
        return () => (elapsedMs += 5_000);
      })(),
    });
  }

  /** A commit with rows in random tables and lanes, and with table files of some. */
  async land(): Promise<void> {
    const writer = new JsonLandingWriter(this.store, this.nextFile);
    const log = await openCommitLog(this.store, { create: false, entriesPerSnapshot: 7 });
    const tables: Record<string, TableAdds> = {};
    for (let count = this.#random.below(5); count >= 0; count--) {
      const topic = this.#random.pick(topics);
      const row = this.#nextRow();
      if (this.#random.chance(0.2)) {
        writer.quarantine(row, {
          topicId: topic.topicId,
          topicVersion: 1,
          reason: "undecodable",
          detail: "",
        });
        this.#expect(quarantineKey, row.messageId);
        continue;
      }
      writer.add(topic, row, []);
      this.#expect(topic.name, row.messageId);
      if (!tables[topic.topicId] && this.#random.chance(0.2))
        tables[topic.topicId] = await this.#direct(topic);
    }
    const landing = await writer.write();
    const number = (await log.load()).number + 1;
    const outcome = await log.append({
      format: 1,
      number,
      commitId: `c${number}`,
      committedAtMs: Date.now(),
      moves: {},
      tables,
      ...(landing && { landing: { file: landing.file, tables: Object.fromEntries(landing.tables) } }),
    });
    assert.deepEqual(outcome, { outcome: "committed" });
    if (number % 9 === 0) await log.maintain({ publishedUpTo: 0, settled: new Map(), retainMs: 0 });
  }

  /** A table file of a row. */
  async #direct(topic: (typeof topics)[number]): Promise<TableAdds> {
    const row = this.#nextRow();
    this.#expect(topic.name, row.messageId);
    const writer = new JsonLandingWriter(this.store, this.nextFile);
    writer.add(topic, row, []);
    const landed = (await writer.write()) ?? assert.fail("a row was written");
    const rowFiles = createJsonRowFiles(this.store, this.nextFile);
    const round = await rowFiles.open([{ commit: 1, path: landed.file.path }]);
    const versions = [{ topicId: topic.topicId, version: 1, columns: [] }];
    const ranges = (["even", "odd", "late"] as const).map((lane) => ({ lane, after: 0, upTo: 1 }));
    const adds = await round.write({ name: topic.name, versions, ranges });
    return { name: topic.name, version: 1, adds };
  }

  #nextRow() {
    const hour = this.#random.below(4) - 2;
    const eventTimeMs = startMs + hour * hourMs;
    const ingestTimeMs = Math.max(startMs, eventTimeMs);
    return makeRow(++this.#row, { eventTimeMs, ingestTimeMs });
  }

  #expect(table: string, id: Uint8Array | null): void {
    this.rows.get(table)?.push(Buffer.from(id ?? []).toString("hex"));
  }

  /** Ids of the rows that the table shows. */
  async shown(name: string): Promise<string[]> {
    const table = new DeltaTable(this.store, name, { checkpoints: jsonCheckpoints(this.store) });
    await table.refresh();
    const ids: string[] = [];
    for (const { path } of await table.files()) {
      const bytes = this.store.objects.get(`${name}/${decodeURIComponent(path)}`)?.bytes;
      ids.push(...readRows(bytes ?? assert.fail(`${path} is there`)).map(({ messageId }) => messageId ?? ""));
    }
    return ids.sort();
  }
}

async function run(seed: number): Promise<{ rounds: number; failed: number }> {
  const random = new SeededRandom(seed);
  const lake = new RandomLake(random);
  for (const topic of topics) await writeTopicVersion(lake.store, { ...topic });
  await openCommitLog(lake.store, { create: true });
  const processes = [await lake.openProcess(), await lake.openProcess()];
  const counts = { rounds: 0, failed: 0 };
  const work = async (index: number) => {
    for (let round = 0; round < 12; round++) {
      // A new process: the old one died between two calls of the store.
      if (random.chance(0.2)) processes[index] = await lake.openProcess();
      const tables = processes[index] ?? assert.fail("the process is there");
      const due = names
        .filter(() => random.chance(0.7))
        .map((name) => [name, lanes.filter(() => random.chance(0.6))] as const);
      const asked = new Set(names.filter(() => random.chance(0.1)));
      const limits = { sizeMax: 100 + random.below(2_000), commitsMax: 1 + random.below(10), filesMax: 5 };
      counts.rounds++;
      await settleRound(tables, new Map(due), { asked, limits }).catch(() => counts.failed++);
      await nextTurn();
    }
  };
  const writer = async () => {
    for (let commit = 0; commit < 25; commit++) {
      await lake.land();
      for (let turns = random.below(30); turns > 0; turns--) await nextTurn();
    }
  };
  await Promise.all([writer(), work(0), work(1)]);
  const last = await lake.openProcess(true);
  const everything = new Map(names.map((name) => [name, lanes]));
  for (let isComplete = false; !isComplete; ) isComplete = (await settleRound(last, everything)).isComplete;
  for (const name of names)
    assert.deepEqual(await lake.shown(name), lake.rows.get(name)?.sort(), `table ${name}, seed ${seed}`);
  return counts;
}

test("whatever two processes settle, and whichever calls fail, each row is in its table once", async () => {
  const first = Number(process.env["FIRST"] ?? 1);
  const runs = Number(process.env["RUNS"] ?? 40);
  const sum = { rounds: 0, failed: 0 };
  for (let seed = first; seed < first + runs; seed++) {
    const { rounds, failed } = await run(seed);
    sum.rounds += rounds;
    sum.failed += failed;
  }
  assert.ok(sum.failed < sum.rounds / 2, JSON.stringify(sum));
});
