import { describe, test } from "node:test";
import { assertFault, assertProven, type Committed } from "../support/committed-run.ts";

/** Entries of format 5, one that says which commits tables show, and a snapshot that gives up entries. */
function settled(bounds: Record<string, number[]>, inSnapshot: Record<string, number[]> = bounds) {
  return ({ lake: { commits } }: Committed): void => {
    commits.numberTables();
    const { moves } = commits.read(3);
    commits.appendUpkeep({ firstKept: 3, settled: bounds });
    commits.snapshot((snapshot) => {
      Object.assign(snapshot, { firstKept: 3, moves });
      for (const [table, ordinal] of [
        ["telemetry", 1],
        ["other", 2],
      ] as const) {
        const [direct = 0, even = 0, odd = 0, late = 0] = inSnapshot[ordinal] ?? [];
        Object.assign(snapshot.tables[table] ?? {}, { settled: { direct, even, odd, late } });
      }
    });
    for (const number of [1, 2]) commits.remove(number);
  };
}

describe("a commit log that numbers its tables", () => {
  const cases: readonly (readonly [string, (run: Committed) => unknown])[] = [
    ["of format 5", ({ lake }) => lake.commits.numberTables()],
    [
      "of format 5 with a snapshot",
      ({ lake }) => {
        lake.commits.numberTables();
        lake.commits.snapshot();
      },
    ],
    ["of format 5 from the second entry on", ({ lake }) => lake.commits.numberTables(2)],
    ["of format 5, with bounds, pruned below a snapshot", settled({ 1: [3, 0, 0, 0], 2: [2, 0, 0, 0] })],
  ];
  for (const [name, change] of cases) test(name, () => assertProven(change));
});

describe("ordinals and bounds that contradict each other", () => {
  const numbered = (change: (run: Committed) => unknown) => (run: Committed) => {
    run.lake.commits.numberTables();
    return change(run);
  };
  const cases: readonly (readonly [string, (run: Committed) => unknown, RegExp])[] = [
    [
      "a table with a second ordinal",
      numbered(({ lake }) =>
        lake.commits.change(3, (entry) => {
          entry.names = { 3: { key: "telemetry", name: "telemetry", version: 1 } };
          entry.direct = { 3: entry.direct?.["1"] ?? [] };
        }),
      ),
      /commit 3: telemetry is table 3, and was table 1/,
    ],
    [
      "a higher version of another table than before",
      numbered(({ lake }) =>
        lake.commits.change(3, (entry) => {
          entry.names = { 2: { key: "third", name: "third", version: 2 } };
        }),
      ),
      /commit 3: table 2 is third, and was other/,
    ],
    [
      "an ordinal that a snapshot knows as another table's",
      numbered(({ lake }) =>
        lake.commits.snapshot((snapshot) => Object.assign(snapshot.tables["other"] ?? {}, { ordinal: 7 })),
      ),
      /snapshot 3 says that table 2 is undefined, not other/,
    ],
    [
      "a bound above what the table shows",
      settled({ 1: [4, 0, 0, 0] }),
      /the log says that telemetry shows commits up to 4, it does up to 3/,
    ],
    [
      "a bound that falls",
      (run) => {
        settled({ 1: [3, 0, 0, 0] })(run);
        run.lake.commits.appendUpkeep({ settled: { 1: [2, 0, 0, 0] } });
      },
      /commit 5: table 1 was settled up to 3,0,0,0, and is up to 2,0,0,0/,
    ],
    [
      "a bound that its snapshot does not know",
      settled({ 1: [3, 0, 0, 0] }, { 1: [2, 0, 0, 0] }),
      /snapshot 4 says that table 1 is settled up to 2,0,0,0/,
    ],
    [
      "a bound of a table that no entry named",
      settled({ 9: [1, 0, 0, 0] }),
      /commit 4: no entry names table 9/,
    ],
  ];
  for (const [name, corrupt, fault] of cases) test(name, () => assertFault(corrupt, fault));
});
