import assert from "node:assert/strict";
import { test } from "node:test";
import type { CommittedTable } from "../../../../../bridge/lake/commit-log/commit-log.ts";
import { type LaneCommits, noCommits } from "../../../../../bridge/lake/commit-log/lane-commits.ts";
import { committedLanes, shownLanes } from "../../../../../bridge/lake/settle/table-lanes.ts";

function table(last: Partial<LaneCommits>, settled: Partial<LaneCommits> = {}, version = 1): CommittedTable {
  return {
    ordinal: 1,
    name: "telemetry",
    version,
    last: { ...noCommits, ...last },
    settled: { ...noCommits, ...settled },
  };
}

function shown(of: CommittedTable, given: Partial<LaneCommits>, firstKept = 1, version = 5) {
  const committed = committedLanes({ tables: new Map([["t1", of]]) }).get("telemetry");
  assert.ok(committed);
  const transactions = { ...noCommits, ...given };
  return shownLanes(committed, { version, transactions }, { firstKept });
}

test("topics of one name are one table, with the highest numbers of both", () => {
  const tables = new Map([
    ["t1", table({ even: 5, odd: 2 }, { even: 4 }, 3)],
    ["t2", table({ even: 7 }, { even: 6, late: 1 }, 1)],
  ]);
  assert.deepEqual(
    [...committedLanes({ tables }).values()],
    [
      {
        name: "telemetry",
        topics: [
          { key: "t1", version: 3 },
          { key: "t2", version: 1 },
        ],
        last: { direct: 0, even: 7, odd: 2, late: 0 },
        bound: { direct: 0, even: 6, odd: 0, late: 1 },
      },
    ],
  );
});

test("a table shows what its transactions say, or the bound if nothing lies after it", () => {
  assert.deepEqual(shown(table({ even: 9 }, { even: 4 }), { even: 6 }), { ...noCommits, even: 6 });
  assert.deepEqual(shown(table({ even: 9 }), {}), noCommits);
  // One lane lost its transaction, and rows of another one wait.
  assert.deepEqual(shown(table({ odd: 9, late: 4 }, { late: 4 }), { odd: 6 }), {
    ...noCommits,
    odd: 6,
    late: 4,
  });
  // The log is gone, and so are the transactions, but no rows wait.
  assert.deepEqual(shown(table({ even: 4 }, { even: 4 }), {}, 1, -1), { ...noCommits, even: 4 });
  assert.deepEqual(shown(table({ even: 4 }, { even: 4 }), {}), { ...noCommits, even: 4 });
});

test("a table that shows less than it did is refused if rows lie after that", () => {
  const refused: readonly [
    what: string,
    of: CommittedTable,
    shown: Partial<LaneCommits>,
    firstKept?: number,
    version?: number,
  ][] = [
    ["the log is gone, and another lane waits", table({ even: 4, odd: 9 }, { even: 4 }), {}, 1, -1],
    ["less than its bound", table({ even: 9 }, { even: 4 }), { even: 3 }],
    ["no transaction", table({ direct: 9 }, { direct: 4 }), {}],
    ["one lane of several", table({ even: 9, late: 9 }, { even: 4, late: 4 }), { even: 9, late: 3 }],
    // Before format 5, no bounds were recorded when entries were given up.
    ["given up without a bound", table({ direct: 9 }), { direct: 8 }, 10],
  ];
  for (const [what, of, transactions, kept, version] of refused)
    assert.throws(
      () => shown(of, transactions, kept, version),
      { code: "TABLE_CONFLICT", retryable: false },
      what,
    );
  assert.deepEqual(shown(table({ direct: 9 }), { direct: 9 }, 10).direct, 9);
  assert.deepEqual(shown(table({ direct: 9 }), { direct: 2 }, 9).direct, 2);
});
