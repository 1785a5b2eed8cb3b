import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { describe, test } from "node:test";
import type { LakeFiles } from "../../simulator/audit/lake-files.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { addOf, moveOf, tableOf, type WrittenSnapshot } from "../support/audited-commits.ts";
import type { LakeRow } from "../support/audited-lake.ts";
import { assertFault, assertProven, type Committed, committedRun } from "../support/committed-run.ts";
import type { LoggedFile } from "../support/logged-file.ts";

/** A fence, and a commit of files that another process began after the commit `since`. */
function fenced(since: number) {
  return async ({ lake, rows }: Committed): Promise<void> => {
    lake.commits.appendUpkeep({ fence: true });
    await lake.add("other", [{ ...(rows[0] as LakeRow), messageId: Buffer.from("stranger") }]);
    lake.commits.change(5, (entry) => (entry.filesSince = since));
    // An entry of upkeep moves no partition.
    lake.commits.change(5, (entry) => {
      Object.assign(moveOf(entry), { from: "3", previousCommit: 3 });
    });
  };
}

describe("a complete commit log, and tables that show its files", () => {
  const cases: readonly (readonly [string, (run: Committed) => unknown])[] = [
    ["unchanged", () => {}],
    ["with a snapshot", ({ lake }) => lake.commits.snapshot()],
    [
      "pruned below a snapshot",
      ({ lake }) => {
        lake.commits.snapshot((snapshot) => {
          snapshot.firstKept = 3;
        });
        lake.commits.remove(1);
        lake.commits.remove(2);
      },
    ],
    ["with a fence", fenced(4)],
    [
      "with a fence, entries that are given up, and a snapshot that records them",
      async (run) => {
        await fenced(4)(run);
        run.lake.commits.appendUpkeep({ firstKept: 3 });
        const moves = run.lake.commits.read(5).moves;
        run.lake.commits.snapshot((snapshot) => Object.assign(snapshot, { moves, fence: 4, firstKept: 3 }));
        run.lake.commits.remove(1);
      },
    ],
    ["with a partition that ended and is past", ({ lake }) => pastPartition(lake.commits, "1")],
    ["closed, because the lake has moved", ({ lake }) => lake.commits.write(4, movedEntry)],
    ["with a checkpoint instead of a table's entries", ({ lake }) => lake.checkpoint("telemetry", whole)],
    [
      "with a file of another writer",
      async ({ lake }) => {
        const stranger = { deviceId: "x", topic: "t", messageId: null, payload: Buffer.from("x") };
        const times = { eventTimeMs: Date.UTC(2026, 10, 22, 10), ingestTimeMs: Date.UTC(2026, 10, 22, 10) };
        const file = await lake.write("telemetry", [{ ...stranger, ...times }]);
        lake.commit("telemetry", { adds: [file], isForeign: true });
      },
    ],
    [
      "compacted by another writer",
      async ({ lake, rows, files }) => {
        const file = await lake.write("telemetry", [...rows.slice(0, 200), ...rows.slice(300)]);
        const removes = [files[0]?.path ?? "", files[2]?.path ?? ""];
        lake.commit("telemetry", { adds: [file], removes, dataChange: false, isForeign: true });
      },
    ],
  ];
  for (const [name, change] of cases) test(name, () => assertProven(change));
});

/** The one partition ends, and another recorded partition replaced it up to `begunAt`. */
function pastPartition(commits: Committed["lake"]["commits"], begunAt: string, endedAt = "end"): void {
  commits.change(3, (entry) => {
    const move = moveOf(entry);
    const counters = { ...move.counters };
    for (const name of Object.keys(counters) as (keyof typeof counters)[]) counters[name] = 0;
    const child = { from: "", to: begunAt, parents: [0], streamTimeMs: 3, producers: {}, previousCommit: 0 };
    move.to = endedAt;
    entry.moves["stream/1"] = { ...child, counters };
  });
  const { moves } = commits.read(3);
  const { "stream/0": _, ...kept } = moves;
  commits.snapshot((snapshot) => {
    snapshot.moves = kept;
    snapshot.past = { stream: { ranges: [[0, 0]] } };
  });
}

const whole = { parts: 1, removeEntries: true };
const movedEntry = { format: 2, number: 4, commitId: "moved", movedTo: "s3://elsewhere" };

describe("a faulty commit log", () => {
  const cases: readonly (readonly [string, (run: Committed) => unknown, RegExp])[] = [
    ["a hole", ({ lake }) => lake.commits.remove(2), /commit 2 is missing, though later ones exist/],
    ["an entry cut short", ({ lake }) => lake.commits.write(2, '{"format":1,"num'), /commit 2 can't be read/],
    [
      "an entry without moves",
      ({ lake }) => lake.commits.change(2, (entry) => Object.assign(entry, { moves: null })),
      /commit 2/,
    ],
    [
      "an entry under the name of another",
      ({ lake }) => lake.commits.change(2, (entry) => (entry.number = 5)),
      /says number 5/,
    ],
    [
      "an entry twice",
      ({ lake }) => lake.commits.change(3, (entry) => (entry.commitId = "commit-1")),
      /commit 3: an earlier one has its id commit-1 too/,
    ],
    [
      "a partition that continues at another position",
      ({ lake }) => lake.commits.change(3, (entry) => (moveOf(entry).from = "1")),
      /commit 3: stream\/0 continues at 1, and ended at 2/,
    ],
    [
      "a move that belongs to another entry",
      ({ lake }) => lake.commits.change(3, (entry) => (moveOf(entry).commit = 2)),
      /commit 3: it says that the move of stream\/0 is in 2/,
    ],
    [
      "a link past an entry of the partition",
      ({ lake }) => lake.commits.change(3, (entry) => (moveOf(entry).previousCommit = 1)),
      /moved before by 2, not 1/,
    ],
    [
      "a link past an entry of the table",
      ({ lake }) => lake.commits.change(3, (entry) => (tableOf(entry, "telemetry").previousCommit = 0)),
      /touched before by 1, not 0/,
    ],
    [
      "files that were begun before a fence",
      fenced(3),
      /commit 5: its files were begun after 3, before the fence 4/,
    ],
    [
      "books that do not balance",
      ({ lake }) => lake.commits.change(3, (entry) => (moveOf(entry).counters.read = 7)),
      /commit 3: the books of stream\/0 do not balance/,
    ],
    [
      "rows that are not in the books",
      ({ lake }) => lake.commits.change(2, (entry) => (addOf(entry, "other").rows = 99)),
      /commit 2: its files have 99 rows, its books say 100/,
    ],
  ];
  for (const [name, corrupt, fault] of cases) test(name, () => assertFault(corrupt, fault));
});

describe("a snapshot that differs from the sum of its entries", () => {
  const cases: readonly (readonly [string, (snapshot: WrittenSnapshot) => unknown, RegExp])[] = [
    [
      "a partition's end",
      (snapshot) => (moveOf(snapshot).to = "2"),
      /snapshot 3 says that stream\/0 ended at 2/,
    ],
    ["a missing partition", (snapshot) => (snapshot.moves = {}), /stream\/0/],
    [
      "a table's last commit",
      (snapshot) => Object.assign(snapshot.tables["other"] ?? {}, { lastCommit: 1 }),
      /1 touched other last/,
    ],
    [
      "a partition that is given up before its end",
      (snapshot) => Object.assign(snapshot, { moves: {}, past: { stream: { ranges: [[0, 4]] } } }),
      /snapshot 3 says that stream\/0 ended at end/,
    ],
    ["another number", (snapshot) => (snapshot.number = 2), /snapshot 3 can't be read/],
    ["entries that are gone", (snapshot) => (snapshot.firstKept = 0), /commit 0 is missing/],
  ];
  for (const [name, change, fault] of cases)
    test(name, () => assertFault(({ lake }) => lake.commits.snapshot(change), fault));
});

test("a snapshot that gives up a partition which another partition still has to continue", () =>
  assertFault(
    ({ lake }) => pastPartition(lake.commits, ""),
    /snapshot 3 gives up stream\/0, and stream\/1 continues it/,
  ));

test("a snapshot that names another fence, or other given-up entries, than its entries", async () => {
  for (const [wrong, fault] of [
    [{ fence: 3 }, /that 3 is the last fence/],
    [{ firstKept: 1 }, /that 1 is the first entry/],
  ] as const)
    await assertFault(async (run) => {
      await fenced(4)(run);
      run.lake.commits.appendUpkeep({ firstKept: 2 });
      const moves = run.lake.commits.read(5).moves;
      run.lake.commits.snapshot((snapshot) =>
        Object.assign(snapshot, { moves, fence: 4, firstKept: 2, ...wrong }),
      );
    }, fault);
});

describe("tables that do not show exactly the files of the log", () => {
  test("a commit that a table does not show", async () => {
    const run = await committedRun();
    rmSync(run.lake.entryPath("other", 0));
    const result = await run.audit();
    assert.equal(result.lost, 100);
    assert.ok(result.examples.some((text) => /commit 2, other\/.*: its table does not show it/.test(text)));
  });
  test("a file that a commit names and its table never had, although all rows are there", () =>
    assertFault(
      ({ lake }) =>
        lake.commits.change(3, (entry) => {
          const first = addOf(entry, "telemetry");
          const path = first.path.replace(/[0-9a-f]{8}-/, "00000000-");
          tableOf(entry, "telemetry").adds.push({ ...first, path, rows: 0 });
        }),
      /commit 3, telemetry\/.*00000000.*: its table does not show it/,
    ));
  test("a file in the table that no commit names, from an entry and from a checkpoint", async () => {
    const unname = ({ lake }: Committed) =>
      lake.commits.change(1, (entry) => {
        tableOf(entry, "telemetry").adds = [];
        Object.assign(moveOf(entry).counters, { read: 0, filed: 0 });
      });
    await assertFault(unname, /telemetry\/.* is in its table, and no commit names it/);
    const checkpointed = async (run: Committed) => {
      unname(run);
      await run.lake.checkpoint("telemetry", whole);
    };
    await assertFault(checkpointed, /telemetry\/.* is in its table, and no commit names it/);
  });
  test("the same faults are found if the log is pruned", () =>
    assertFault(async ({ lake, rows }) => {
      for (let each = 4; each < 14; each++) lake.commits.appendUpkeep({ firstKept: 3 });
      await lake.add("other", [{ ...(rows[0] as LakeRow), messageId: Buffer.from("stranger") }]);
      lake.commits.change(14, (entry) => {
        tableOf(entry, "other").adds = [];
        Object.assign(moveOf(entry), { ...moveOf(lake.commits.read(3)), from: "3", commit: 14 });
        moveOf(entry).previousCommit = 3;
      });
      lake.commits.snapshot((snapshot) => (snapshot.firstKept = 3));
      lake.commits.remove(1);
      lake.commits.remove(2);
    }, /other\/.* is in its table, and no commit names it/));
  test("a file that two commits name", () =>
    assertFault(
      ({ lake, files }) =>
        lake.commits.change(3, (entry) => {
          const again = { ...addOf(entry, "telemetry"), path: files[0]?.path ?? "", rows: 0 };
          tableOf(entry, "telemetry").adds.push(again);
        }),
      /is named by the commits 1 and 3/,
    ));
  test("a size, date or hour that differs from the commit's", async () => {
    for (const [name, value] of [
      ["bytes", 1],
      ["eventDate", "1999-01-01"],
      ["eventHour", 3],
    ] as const)
      await assertFault(
        ({ lake }) =>
          lake.commits.change(2, (entry) => Object.assign(addOf(entry, "other"), { [name]: value })),
        /commit 2, other\//,
      );
  });
});

describe("a lake that is being written to", () => {
  /**
   * Each read of the commit log finds one more commit, which its table shows only later: `shows` decides
   * whether the next read finds the commit in the table, or no read ever does.
   */
  async function written(
    shows: (look: number) => boolean,
  ): Promise<Committed & { readonly lakeFiles: LakeFiles }> {
    const run = await committedRun();
    const files = openLake(`file:${run.lake.folder}`);
    const stranger = { ...(run.rows[0] as LakeRow), messageId: Buffer.from("stranger") };
    let [look, pending] = [0, null as { readonly file: LoggedFile; readonly number: number } | null];
    const lakeFiles: LakeFiles = {
      open: (path) => files.open(path),
      modifiedAtMs: (path) => files.modifiedAtMs(path),
      list: async (folder) => {
        if (folder === "_commits") {
          if (pending && shows(++look))
            run.lake.commit("other", { adds: [pending.file], shows: pending.number });
          const file = await run.lake.write("other", [stranger]);
          pending = { file, number: run.lake.commits.append("other", [file]) };
        }
        return files.list(folder);
      },
    };
    return { ...run, lakeFiles };
  }

  test("is proven although each read finds a newest commit that its table does not show yet", async () => {
    const { audit, lakeFiles } = await written(() => true);
    const result = await audit({ lake: lakeFiles });
    assert.deepEqual([result.examples, result.logFaults, result.isProven], [[], 0, true]);
  });

  test("has a fault if its table never shows one commit, but shows later ones", async () => {
    const { audit, lakeFiles } = await written((look) => look > 1);
    const result = await audit({ lake: lakeFiles });
    assert.deepEqual([result.logFaults, result.isProven], [1, false]);
    assert.match(result.examples[0] ?? "", /commit 4, other\/.*: its table does not show it/);
  });

  test("has a fault if an entry is missing, whatever follows", async () => {
    const { audit, lake, lakeFiles } = await written(() => true);
    lake.commits.remove(2);
    const result = await audit({ lake: lakeFiles });
    assert.equal(result.isProven, false);
    assert.match(result.examples[0] ?? "", /commit 2 is missing, though later ones exist/);
  });
});

describe("a commit log of a newer version is AUDIT_LAKE_UNSUPPORTED", () => {
  const cases: readonly (readonly [string, (run: Committed) => unknown, RegExp])[] = [
    [
      "a format of entries",
      ({ lake }) => lake.commits.change(3, (entry) => Object.assign(entry, { format: 6 })),
      /commit 3 has format 6/,
    ],
    [
      "a kind of upkeep",
      ({ lake }) => lake.commits.appendUpkeep({ erasure: {} }),
      /commit 4 .* kind erasure/,
    ],
    [
      "a format of snapshots",
      ({ lake }) => lake.commits.snapshot((snapshot) => Object.assign(snapshot, { format: 6 })),
      /snapshot 3 has format 6/,
    ],
  ];
  for (const [name, change, message] of cases)
    test(name, async () => {
      const run = await committedRun();
      await change(run);
      await assert.rejects(run.audit(), { code: "AUDIT_LAKE_UNSUPPORTED", message });
    });
});
