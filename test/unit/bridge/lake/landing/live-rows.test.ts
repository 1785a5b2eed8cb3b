import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommitEntry, LakeState } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { emptyLakeState } from "../../../../../bridge/lake/commit-log/lake-state.ts";
import { type LaneCommits, noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import {
  cutLiveRows,
  type LiveCut,
  type LiveRowsOptions,
  type ShownTable,
} from "../../../../../bridge/lake/landing/live-rows.ts";

type Rows = Partial<Record<"even" | "odd" | "late", number>>;

/**
 * A log whose commits bring landed rows of tables, each with one topic whose id is the table's name and `-id`.
 * Readings of the log and of the tables may be interrupted.
 */
class Lake {
  readonly calls: string[] = [];
  readonly tables = new Map<string, LaneCommits>();
  firstKept = 1;
  /** Called after each reading, with its name. */
  interrupt: (call: string) => void = () => {};
  readonly #entries: CommitEntry[] = [];
  readonly #bounds = new Map<string, LaneCommits>();

  commit(tables: Readonly<Record<string, Rows>>): number {
    const number = this.#entries.length + 1;
    const named = Object.entries(tables).map(([name, rows]) => [`${name}-id`, { name, version: 1, rows }]);
    const file = { path: `_landing/${number}.parquet`, bytes: 1, size: 1, minStreamMs: 0, maxStreamMs: 0 };
    const landing = { file, tables: Object.fromEntries(named) };
    this.#add({ tables: {}, landing });
    return number;
  }

  direct(name: string, file: string): number {
    const add = { path: file, eventDate: "2026-01-01", eventHour: 0, bytes: 1, rows: 1, modifiedAtMs: 0 };
    const adds = [{ ...add, minIngestMs: 0, maxIngestMs: 0, stats: "{}" }];
    this.#add({ tables: { [`${name}-id`]: { name, version: 1, adds } } });
    return this.#entries.length;
  }

  settle(name: string, lanes: Partial<LaneCommits>): void {
    this.tables.set(name, { ...noCommits, ...this.tables.get(name), ...lanes });
  }

  bound(name: string, lanes: Partial<LaneCommits>): void {
    this.#bounds.set(name, { ...noCommits, ...lanes });
  }

  load = async (): Promise<LakeState> => {
    const state = this.#state();
    this.#called("log");
    return state;
  };

  entry = async (number: number): Promise<CommitEntry | null> => {
    const entry = number < this.firstKept ? null : (this.#entries[number - 1] ?? null);
    this.#called(`entry ${number}`);
    return entry;
  };

  cut(options: Partial<LiveRowsOptions<ShownTable>> = {}): Promise<LiveCut<ShownTable>> {
    const show = async ({ tables }: LakeState) => {
      const names = new Set([...tables.values()].map(({ name }) => name));
      const shown = [...names].map(
        (name) => [name, { transactions: this.tables.get(name) ?? noCommits }] as const,
      );
      this.#called("tables");
      return new Map(shown);
    };
    return cutLiveRows(this, { show, ...options });
  }

  #add(fields: Pick<CommitEntry, "tables"> & Partial<CommitEntry>): void {
    const number = this.#entries.length + 1;
    this.#entries.push({
      format: 5,
      number,
      commitId: `c${number}`,
      committedAtMs: number,
      moves: {},
      ...fields,
    });
  }

  #state(): LakeState {
    const tables = new Map<
      string,
      LakeState["tables"] extends ReadonlyMap<string, infer Table> ? Table : never
    >();
    for (const { number, tables: files, landing } of this.#entries)
      for (const [key, brought] of [...Object.entries(files), ...Object.entries(landing?.tables ?? {})]) {
        const lanes = "adds" in brought ? ["direct"] : Object.keys(brought.rows);
        const last = Object.fromEntries(lanes.map((lane) => [lane, number]));
        const settled = this.#bounds.get(brought.name) ?? noCommits;
        const before = tables.get(key)?.last ?? noCommits;
        tables.set(key, {
          ordinal: 1,
          name: brought.name,
          version: 1,
          last: { ...before, ...last },
          settled,
        });
      }
    return { ...emptyLakeState, number: this.#entries.length, firstKept: this.firstKept, tables };
  }

  #called(call: string): void {
    this.calls.push(call);
    this.interrupt(call);
  }
}

/** By table: landing files as `number:lanes`, and table files. */
function waiting({ unsettled }: LiveCut<ShownTable>): Record<string, string[]> {
  return Object.fromEntries(
    [...unsettled].map(([name, { files, landed }]) => [
      name,
      [
        ...landed.map(({ commit, lanes }) => `${commit}:${lanes.join("+")}`),
        ...files.map(({ path }) => path),
      ],
    ]),
  );
}

test("a table lacks the rows of each lane that came after the lane's transaction", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 2, odd: 1 }, two: { late: 1 } });
  lake.commit({ one: { odd: 1, late: 4 } });
  lake.direct("one", "a.parquet");
  lake.commit({ one: { even: 1 } });
  lake.direct("two", "b.parquet");
  assert.deepEqual(waiting(await lake.cut()), {
    one: ["1:even+odd", "2:odd+late", "4:even", "a.parquet"],
    two: ["1:late", "b.parquet"],
  });
  lake.settle("one", { even: 1, odd: 2, direct: 3 });
  lake.settle("two", { late: 5 });
  assert.deepEqual(waiting(await lake.cut()), { one: ["2:late", "4:even"], two: ["b.parquet"] });
  lake.settle("one", { late: 4, even: 4 });
  lake.settle("two", { direct: 5 });
  lake.calls.length = 0;
  assert.deepEqual(waiting(await lake.cut()), {});
  assert.deepEqual(lake.calls, ["log", "tables", "log"], "entries that every table shows are not read");
});

test("rows that are settled during the cut are in it once, and rows that come during it are in it", async () => {
  for (const moment of ["log", "tables"]) {
    const lake = new Lake();
    lake.commit({ one: { even: 2 } });
    let isDone = false;
    lake.interrupt = (call) => {
      if (call !== moment || isDone) return;
      isDone = true;
      lake.commit({ one: { even: 1 } });
      lake.settle("one", { even: 2 });
      // An upkeep entry of another process says so at once.
      lake.bound("one", { even: 2 });
    };
    const cut = await lake.cut();
    const shown = cut.shown.get("one")?.transactions.even;
    const expected: readonly [number, Record<string, string[]>] =
      moment === "log" ? [2, {}] : [0, { one: ["1:even", "2:even"] }];
    assert.deepEqual([shown, waiting(cut)], expected, `settled after the reading of ${moment}`);
  }
});

test("bounds of the log count if a table lost its transactions", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 2, late: 1 } });
  lake.commit({ one: { even: 2 } });
  lake.bound("one", { even: 1, late: 1 });
  assert.deepEqual(waiting(await lake.cut()), { one: ["2:even"] });
});

test("two topics of one name wait for the same table", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 2 } });
  const state = await lake.load();
  const again = { ...(state.tables.get("one-id") ?? assert.fail()), last: { ...noCommits, even: 1 } };
  lake.load = async () => ({ ...state, tables: new Map([...state.tables, ["again-id", again]]) });
  lake.settle("one", { even: 1 });
  assert.deepEqual(waiting(await lake.cut()), {});
});

test("if an entry is settled and given up meanwhile, the tables are read again", async () => {
  const lake = new Lake();
  for (let each = 0; each < 3; each++) lake.commit({ one: { even: 1 } });
  lake.interrupt = (call) => {
    if (call !== "entry 1" || lake.firstKept === 3) return;
    lake.settle("one", { even: 2 });
    lake.firstKept = 3;
  };
  const cut = await lake.cut();
  assert.equal(lake.calls.filter((call) => call === "tables").length, 2);
  assert.deepEqual(waiting(cut), { one: ["3:even"] });
});

test("entries below the first kept one are not asked for, because nothing of a lane is left there", async () => {
  const lake = new Lake();
  for (let each = 0; each < 5; each++) lake.commit({ one: each === 4 ? { late: 1 } : { even: 1 } });
  lake.settle("one", { even: 4 });
  lake.firstKept = 4;
  assert.deepEqual(waiting(await lake.cut()), { one: ["5:late"] });
  assert.deepEqual(lake.calls, ["log", "tables", "log", "entry 4", "entry 5"]);
});

test("a table is read again if entries that it lacked were given up since", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 1 } });
  lake.commit({ one: { even: 1 } });
  lake.interrupt = (call) => {
    if (call !== "tables" || lake.firstKept > 1) return;
    lake.settle("one", { even: 2 });
    lake.firstKept = 3;
    lake.commit({ one: { even: 1 } });
  };
  const cut = await lake.cut();
  assert.equal(cut.shown.get("one")?.transactions.even, 2);
  assert.deepEqual(waiting(cut), { one: ["3:even"] });
});

test("a table that is new since the tables were read is read too", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 1 } });
  let isDone = false;
  lake.interrupt = (call) => {
    if (call === "tables" && !isDone) lake.commit({ two: { odd: 1 } });
    isDone ||= call === "tables";
  };
  const cut = await lake.cut();
  assert.deepEqual([...cut.shown.keys()], ["one", "two"]);
  assert.deepEqual(waiting(cut), { one: ["1:even"], two: ["2:odd"] });
});

test("a lake that changes faster than it is read is STORE_UNAVAILABLE after five attempts", async () => {
  const lake = new Lake();
  lake.commit({ one: { even: 1 } });
  lake.interrupt = (call) => {
    if (call === "tables") lake.commit({ [`t${lake.calls.length}`]: { even: 1 } });
  };
  await assert.rejects(lake.cut(), { code: "STORE_UNAVAILABLE", retryable: true });
  assert.equal(lake.calls.filter((call) => call === "tables").length, 5);
});

test("entries that only an unwanted table lacks are not read", async () => {
  const lake = new Lake();
  for (let each = 0; each < 40; each++) lake.direct("parked", `${each}.parquet`);
  lake.commit({ one: { even: 1 }, parked: { odd: 1 } });
  lake.direct("parked", "last.parquet");
  lake.settle("one", { even: 40 });
  lake.calls.length = 0;
  const cut = await lake.cut({ isWanted: (name) => name === "one" });
  assert.deepEqual(waiting(cut), { one: ["41:even"] });
  assert.deepEqual(lake.calls, ["log", "tables", "log", "entry 41", "entry 42"]);
});

test("a table that lacks more than the bound is behind, and others are looked up", async () => {
  const lake = new Lake();
  for (let each = 0; each < 40; each++) lake.direct("parked", `${each}.parquet`);
  lake.commit({ one: { even: 1 } });
  lake.settle("one", { even: 40 });
  for (const [entriesMax, behind] of [
    [40, [["parked", 41]]],
    [41, []],
  ] as const) {
    const cut = await lake.cut({ entriesMax });
    assert.deepEqual([...cut.behind], behind);
    assert.equal(waiting(cut)["parked"]?.length, behind.length > 0 ? undefined : 40);
    assert.deepEqual(waiting(cut)["one"], ["41:even"]);
  }
});

test("of a quiet table, only entries after a snapshot are read, if the table shows what the snapshot has of it", async () => {
  const lake = new Lake();
  lake.commit({ quiet: { even: 1 }, late: { odd: 1 } });
  lake.settle("quiet", { even: 1 });
  for (let each = 0; each < 40; each++) lake.commit({ busy: { odd: 1 } });
  lake.settle("busy", { odd: 41 });
  const summed = await lake.load();
  lake.commit({ quiet: { even: 1 } });
  lake.calls.length = 0;
  const isWanted = (name: string) => name === "quiet";
  const cut = await lake.cut({ isWanted, entriesMax: 10, summed: async () => summed });
  assert.deepEqual([waiting(cut), [...cut.behind]], [{ quiet: ["42:even"] }, []]);
  assert.deepEqual(lake.calls, ["log", "tables", "log", "entry 42"]);
  const lacking = await lake.cut({ isWanted: (name) => name === "late", summed: async () => summed });
  assert.deepEqual(waiting(lacking), { late: ["1:odd"] }, "the snapshot has more of it than the table");
});
