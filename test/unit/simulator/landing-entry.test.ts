import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { chainFaults } from "../../../simulator/audit/commit-chain.ts";
import { parseEntry } from "../../../simulator/audit/commit-entry.ts";
import { parseSnapshot, snapshotFaults } from "../../../simulator/audit/log-snapshot.ts";
import { TableOrdinals } from "../../../simulator/audit/table-ordinals.ts";

type Rows = Record<string, unknown>;

const landing = (rows: unknown, path = "_landing/a.parquet") => ({
  path,
  bytes: 10,
  size: 20,
  minStreamMs: 1,
  maxStreamMs: 2,
  rows,
});

/** Entry 1 of a log: 5 filed and 2 quarantined messages, of which 1 is in a table file. */
const entry = (change: Rows = {}) => ({
  format: 5,
  number: 1,
  commitId: "a",
  committedAtMs: 1,
  moves: {
    "stream/0": {
      from: "",
      to: "1",
      counters: { read: 7, filed: 5, duplicates: 0, quarantined: 2, resent: 0, misrouted: 0 },
      previousCommit: 0,
    },
  },
  names: { 1: { key: "topic", name: "table", version: 1 } },
  direct: { 1: [{ path: "f.parquet", rows: 1, bytes: 1, eventDate: "2026-11-22", eventHour: 10 }] },
  landing: landing({
    even: [
      [0, 2],
      [1, 3],
    ],
    late: [[1, 1]],
  }),
  ...change,
});

function taken(...entries: readonly object[]) {
  const ordinals = new TableOrdinals(new Map());
  const faults: string[] = [];
  const read = entries.map((each) => ordinals.take(parseEntry(JSON.stringify(each)), faults));
  return { read, faults: [...faults, ...chainFaults(read)] };
}

test("landed rows of an entry are known by lane and table, and count with those of table files", () => {
  const { read, faults } = taken(entry());
  assert.deepEqual(faults, []);
  assert.deepEqual(read[0]?.landed, [
    { key: "_quarantine", name: "_quarantine", lane: "even", rows: 2 },
    { key: "topic", name: "table", lane: "even", rows: 3 },
    { key: "topic", name: "table", lane: "late", rows: 1 },
  ]);
});

describe("a landing file that an entry describes wrongly", () => {
  const cases: readonly (readonly [string, unknown, RegExp])[] = [
    ["a lane of another name", landing({ direct: [[1, 1]] }), /landing has the lane direct/],
    ["no lane", landing({}), /_landing\/a.parquet has no rows/],
    ["a lane without tables", landing({ odd: [] }), /lane odd is not a list of tables/],
    ["a table without rows", landing({ odd: [[1, 0]] }), /lane odd has 0 rows of table 1/],
    ["a part of a row", landing({ odd: [[1, 1.5]] }), /lane odd has 1.5 rows of table 1/],
    ["rows without a table", landing({ odd: [[1]] }), /lane odd has a table that is no pair/],
    [
      "a table twice",
      landing({
        odd: [
          [1, 1],
          [1, 2],
        ],
      }),
      /lane odd has table 1 after table 1/,
    ],
    ["a file elsewhere", landing({ odd: [[1, 1]] }, "table/a.parquet"), /has the path table\/a.parquet/],
    ["a file in a folder", landing({ odd: [[1, 1]] }, "_landing/../a.parquet"), /has the path/],
    ["no bytes", { ...landing({ odd: [[1, 1]] }), bytes: undefined }, /bytes is not a number/],
    ["no stream time", { ...landing({ odd: [[1, 1]] }), minStreamMs: "1" }, /minStreamMs is not a number/],
    ["a text", "landing", /landing is not an object/],
  ];
  for (const [name, landed, fault] of cases)
    test(name, () => assert.throws(() => parseEntry(JSON.stringify(entry({ landing: landed }))), fault));
});

describe("landed rows that contradict their log", () => {
  const faultsOf = (rows: unknown) => taken(entry({ landing: landing(rows) })).faults;

  test("a table that no entry named", () => {
    const [fault] = faultsOf({ even: [[9, 5]] });
    assert.equal(fault, "commit 1: no entry names table 9");
  });

  test("other numbers of rows than the books say", () => {
    const faults = faultsOf({
      even: [
        [0, 1],
        [1, 3],
      ],
    });
    assert.deepEqual(faults, [
      "commit 1: its files have 4 rows, its books say 5",
      "commit 1: its files have 1 quarantined rows, its books say 2",
    ]);
  });

  test("one file of two entries", () => {
    const { faults } = taken(entry(), entry({ number: 2, commitId: "b" }));
    assert.ok(
      faults.includes("commit 2: _landing/a.parquet is the landing file of 1 too"),
      faults.join("\n"),
    );
  });

  test("a file that was begun before a fence", () => {
    const fence = {
      format: 5,
      number: 1,
      commitId: "f",
      committedAtMs: 1,
      moves: {},
      upkeep: { fence: true },
    };
    const direct = {};
    const { faults } = taken(fence, entry({ number: 2, filesSince: 0, direct }));
    assert.ok(
      faults.includes("commit 2: its files were begun after 0, before the fence 1"),
      faults.join("\n"),
    );
  });
});

test("a snapshot knows the last entry of each lane", () => {
  const lanes = (numbers: Rows) => ({ direct: 0, even: 0, odd: 0, late: 0, ...numbers });
  const snapshot = (last: Rows, quarantined: Rows) => ({
    format: 5,
    number: 1,
    firstKept: 1,
    moves: entry().moves,
    tables: {
      topic: { ordinal: 1, name: "table", version: 1, last: lanes(last), settled: lanes({}) },
      _quarantine: {
        ordinal: 0,
        name: "_quarantine",
        version: 0,
        last: lanes(quarantined),
        settled: lanes({}),
      },
    },
  });
  const faultsOf = (each: object) => snapshotFaults(parseSnapshot(JSON.stringify(each)), taken(entry()).read);
  assert.deepEqual(faultsOf(snapshot({ direct: 1, even: 1, late: 1 }, { even: 1 })), []);
  assert.deepEqual(faultsOf(snapshot({ direct: 1, even: 1 }, { even: 1 })), [
    "snapshot 1 says that 0 landed rows of topic last in lane late, its entries do not",
  ]);
  assert.deepEqual(faultsOf(snapshot({ even: 1, late: 1 }, { even: 1 })), [
    "snapshot 1 says that 0 touched topic last, its entries do not",
  ]);
  assert.deepEqual(faultsOf(snapshot({ direct: 1, even: 1, late: 1 }, {})), [
    "snapshot 1 says that 0 landed rows of _quarantine last in lane even, its entries do not",
  ]);
});
