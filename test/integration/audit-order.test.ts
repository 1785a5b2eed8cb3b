import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { LakeRow } from "../support/audited-lake.ts";
import { type AuditedRun, auditedRun, faultsOfPlace, flaws } from "../support/audited-run.ts";

describe("a device's rows are in the order of its acknowledged publishes", () => {
  /** 100 devices take turns: messages 7, 107, 207 … are of one device. */
  async function audited(place: (index: number) => Partial<LakeRow>, options = {}) {
    const run = await auditedRun(options);
    await run.lake.add(
      "telemetry",
      run.rows.map((row, index) => ({ ...row, ...place(index) })),
    );
    return run.audit();
  }

  test("two rows that changed places are found", async () => {
    const result = await audited((index) => ({ place: index === 107 ? 207 : index === 207 ? 107 : index }));
    assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 0, 1]);
    assert.equal(result.isProven, false);
    assert.match(result.examples[0] ?? "", /disordered: .* is before an earlier message/);
  });

  test("two rows at the same place, and a row before all others, are found", async () => {
    assert.equal((await audited((index) => ({ place: index === 107 ? 7 : index }))).disordered, 1);
    assert.equal((await audited((index) => ({ place: index === 407 ? 7 : index + 100 }))).disordered, 1);
  });

  test("the places of one device do not limit those of another", async () => {
    const result = await audited((index) => ({ place: Math.floor(index / 100) * 100 + 99 - (index % 100) }));
    assert.equal(result.isProven, true);
  });

  test("a message that was not acknowledged may be anywhere", async () => {
    const swapped = (index: number) => ({ place: index === 107 ? 207 : index === 207 ? 107 : index });
    const result = await audited(swapped, { acked: (index: number) => index !== 107 });
    assert.deepEqual([result.disordered, result.isProven], [0, true]);
  });

  test("partition numbers are compared as numbers: later partitions have higher ones", async () => {
    const rising = await audited((index) => ({ partition: index < 300 ? "9" : "10" }));
    assert.deepEqual([rising.disordered, rising.isProven], [0, true]);
    const falling = await audited((index) => ({ partition: index < 300 ? "10" : "9" }));
    assert.equal(falling.disordered, 200);
  });

  test("quarantined rows keep the order, too", async () => {
    const scenario = { faults: { poison: 0.1 } };
    const { lake, rows, audit } = await auditedRun({ scenario });
    const turned = rows.map((row, index) => ({ ...row, place: rows.length - index }));
    await lake.add(
      "telemetry",
      turned.filter(({ reason }) => reason === undefined),
    );
    await lake.add(
      "_quarantine",
      turned.filter(({ reason }) => reason !== undefined),
    );
    const result = await audit();
    assert.deepEqual(flaws(result), [0, 0, 0, 0]);
    assert.equal(result.disordered, 400);
  });
});

describe("stream time, which decides when ids expire", () => {
  const beganAtMs = Date.UTC(2026, 10, 22, 10);
  const minuteMs = 60_000;

  /** 50 messages are a block. */
  async function mistimed(streamTimeMs: (index: number) => number): Promise<number> {
    const run = await auditedRun();
    await run.lake.add(
      "telemetry",
      run.rows.map((row, index) => ({ ...row, streamTimeMs: streamTimeMs(index) })),
    );
    const result = await run.audit();
    assert.deepEqual([...flaws(result), ...faultsOfPlace(result)], [0, 0, 0, 0, 0, 0, 0]);
    assert.equal(result.isProven, result.mistimed === 0);
    return result.mistimed;
  }
  const block = (index: number) => Math.floor(index / 50);

  test("may rise with the blocks of a partition, or stay the same", async () => {
    assert.equal(await mistimed((index) => beganAtMs + Math.floor(block(index) / 2) * 1000), 0);
  });

  test("must not go back", async () => {
    const at = (index: number) => beganAtMs + block(index) * 1000;
    assert.equal(await mistimed((index) => at(index) - (block(index) === 4 ? 1001 : 0)), 1);
  });

  test("must not differ within a block", async () => {
    assert.equal(await mistimed((index) => beganAtMs + block(index) * 1000 + (index === 60 ? 1 : 0)), 1);
  });

  test("must not rise by more than the time since the start of the run, and an hour", async () => {
    const passedMs = Date.now() - beganAtMs;
    const step = (byMs: number) => mistimed((index) => beganAtMs + (block(index) > 5 ? byMs : 0));
    assert.equal(await step(passedMs + 59 * minuteMs), 0);
    assert.equal(await step(passedMs + 65 * minuteMs), 1);
  });
});

describe("rows of several streams", () => {
  const counts = {
    read: 0,
    filed: 0,
    duplicates: 0,
    quarantined: 0,
    resent: 0,
    misrouted: 0,
    unaccounted: 0,
  };
  const moved = (to: string, filed: number, previousCommit: number) => {
    const counters = { ...counts, read: filed, filed };
    return { from: previousCommit === 0 ? "" : String(Number(to) - 1), to, counters, previousCommit };
  };

  /** The first 300 messages came by stream b, the others by stream a. */
  async function migrated(...streams: readonly ("a" | "b")[]): Promise<AuditedRun> {
    const run = await auditedRun();
    run.lake.keepCommitLog();
    for (const [at, stream] of streams.entries()) {
      const rows = stream === "b" ? run.rows.slice(0, 300) : run.rows.slice(300);
      await run.lake.add(
        "telemetry",
        rows.map((row) => ({ ...row, stream })),
      );
      run.lake.commits.change(at + 1, (entry) => {
        entry.moves = { [`${stream}/0`]: moved("1", rows.length, 0) };
      });
    }
    return run;
  }

  test("must be in the order in which the commit log met the streams", async () => {
    const later = await (await migrated("b", "a")).audit();
    assert.deepEqual([later.logFaults, later.disordered, later.isProven], [0, 0, true]);
    const earlier = await (await migrated("a", "b")).audit();
    assert.deepEqual([earlier.logFaults, earlier.disordered, earlier.unordered], [0, 200, 0]);
  });

  test("are counted and not compared if the streams were read side by side", async () => {
    for (const streams of [
      ["b", "a"],
      ["a", "b"],
    ] as const) {
      const run = await migrated(...streams);
      const { number } = run.lake.commits;
      run.lake.commits.write(number + 1, {
        ...run.lake.commits.read(number),
        number: number + 1,
        commitId: "idle",
        tables: {},
        moves: { [`${streams[0]}/0`]: moved("2", streams[0] === "b" ? 300 : 200, 1) },
      });
      const result = await run.audit();
      assert.deepEqual([result.logFaults, result.disordered, result.isProven], [0, 0, true]);
      assert.equal(result.unordered, 100);
    }
  });

  test("are counted and not compared if the commit log no longer names the streams", async () => {
    const run = await migrated("b", "a");
    run.lake.commits.remove(1);
    run.lake.commits.snapshot((snapshot) => {
      snapshot.firstKept = 2;
      snapshot.moves = run.lake.commits.read(2).moves;
    });
    const result = await run.audit();
    assert.deepEqual([result.logFaults, result.disordered, result.isProven], [0, 0, true]);
    assert.equal(result.unordered, 300);
  });
});
