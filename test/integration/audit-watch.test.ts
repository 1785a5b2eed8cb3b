import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { copyFileSync, rmSync } from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LakeFile, LakeFiles } from "../../simulator/audit/lake-files.ts";
import { openLake } from "../../simulator/audit/open-lake.ts";
import { type LandedRow, land } from "../support/audited-landing.ts";
import { type AuditedRun, auditedRun, flaws, startedAtMs } from "../support/audited-run.ts";
import type { LoggedFile } from "../support/logged-file.ts";

const tableFile = /^telemetry\/event_date/;

async function landingRun(): Promise<AuditedRun & { readonly landed: readonly LandedRow[] }> {
  const run = await auditedRun();
  run.lake.keepCommitLog();
  const landed = run.rows.map((row) => ({ ...row, table: "telemetry", streamTimeMs: startedAtMs }));
  return { ...run, landed };
}

/** Replaces a file of the table by an equal one of another name, as a compaction does. */
function compact({ lake }: AuditedRun, file: LoggedFile): LoggedFile {
  const path = file.path.replace(/[^/]+$/, `${randomUUID()}.parquet`);
  const equal = { ...file, path, modifiedAtMs: Date.now() };
  copyFileSync(lake.filePath("telemetry", file), lake.filePath("telemetry", equal));
  lake.commit("telemetry", { adds: [equal], removes: [file.path], dataChange: false, isForeign: true });
  return equal;
}

/** The lake; `onOpen` comes before a file is opened. */
function opening(
  { lake }: AuditedRun,
  onOpen: (path: string) => unknown,
  wrap = (_: string, file: LakeFile | null) => file,
): LakeFiles {
  const files = openLake(`file:${lake.folder}`);
  return {
    list: (folder) => files.list(folder),
    modifiedAtMs: (path) => files.modifiedAtMs(path),
    async open(path) {
      await onOpen(path);
      return wrap(path, await files.open(path));
    },
  };
}

test("a lake that settles and compacts all the time ends with a verdict, and landing files are not read again and again", async () => {
  const run = await landingRun();
  const opened = new Map<string, number>();
  const count = (path: string) => {
    if (path.startsWith("_landing/")) opened.set(path, (opened.get(path) ?? 0) + 1);
    if (tableFile.test(path)) last = last && compact(run, last);
  };
  let last: LoggedFile | undefined;
  await land(run.lake, run.landed.slice(0, 100));
  const running = run.audit({ waitMs: 60_000, settleMs: 1500, lake: opening(run, count) });
  let isOver = false;
  const over = running.finally(() => {
    isOver = true;
  });
  for (let commit = 1; !isOver; commit++) {
    if (commit < 5) await land(run.lake, run.landed.slice(commit * 100, commit * 100 + 100));
    const settled = commit <= 4 ? run.landed.slice(commit * 100 - 100, commit * 100) : [];
    if (settled.length > 0) {
      last = await run.lake.write("telemetry", settled);
      run.lake.commit("telemetry", { adds: [last], settles: { even: commit } });
    }
    last = last && compact(run, last);
    await sleep(100);
  }
  const result = await over;
  assert.deepEqual([result.faults, result.examples, result.isProven], [[], [], true]);
  assert.ok(result.waitedS < 30, `${result.waitedS} s`);
  for (const [path, times] of opened) assert.ok(times <= 3, `${path} was opened ${times} times`);
});

describe("rows that landed while the audit waited", () => {
  async function settling(change: (rows: readonly LandedRow[]) => readonly LandedRow[]) {
    const run = await landingRun();
    await land(run.lake, run.landed.slice(0, 400));
    const settled = await run.lake.write("telemetry", change(run.landed.slice(0, 400)));
    const running = run.audit({ waitMs: 4000 });
    await sleep(700);
    run.lake.commit("telemetry", { adds: [settled], settles: { even: 1 } });
    await land(run.lake, run.landed.slice(400));
    return running;
  }

  test("and that settling lost are lost", async () => {
    const result = await settling((rows) => rows.slice(3));
    assert.deepEqual([...flaws(result), result.logFaults], [3, 0, 0, 0, 1]);
  });

  test("and that settling doubled are duplicated", async () => {
    const result = await settling((rows) => [...rows, ...rows.slice(0, 3)]);
    assert.deepEqual([...flaws(result), result.logFaults], [0, 3, 0, 0, 1]);
  });

  test("and whose landing file was settled and deleted before the watch read it, are not missed", async () => {
    const run = await landingRun();
    await land(run.lake, run.landed.slice(0, 400));
    const settled = await run.lake.write("telemetry", run.landed.slice(400));
    let second: string | undefined;
    const lake = opening(run, (path) => {
      if (path !== second) return;
      second = undefined;
      run.lake.commit("telemetry", { adds: [settled], settles: { even: 2 } });
      rmSync(`${run.lake.folder}/${path}`);
    });
    const running = run.audit({ waitMs: 30_000, lake });
    await sleep(700);
    run.lake.commit("telemetry", {
      adds: [await run.lake.write("telemetry", run.landed.slice(0, 400))],
      settles: { even: 1 },
    });
    await land(run.lake, run.landed.slice(400));
    second = run.lake.commits.read(2).landing?.path;
    const result = await running;
    assert.deepEqual([result.faults, result.examples, result.isProven], [[], [], true]);
    assert.ok(result.waitedS < 20, `${result.waitedS} s`);
  });
});

test("messages that ids do not tell apart, or that have none, are seen while the audit waits", async () => {
  const faults = { reused: 0.1, poison: 0.05 };
  const run = await auditedRun({ scenario: { devices: 10, connections: 5, mix: { raw: 0.2 }, faults } });
  const { lake, plan } = run;
  lake.keepCommitLog();
  const isLater = (index: number) => plan.roles.idIndex(index) !== index;
  const rows = run.rows.map((row, index) => (isLater(index) ? { reason: "id-reused", ...row } : row));
  const add = async (part: typeof rows) => {
    await lake.add(
      "telemetry",
      part.filter(({ reason }) => reason === undefined),
    );
    await lake.add(
      "_quarantine",
      part.filter(({ reason }) => reason !== undefined),
    );
  };
  await add(rows.slice(0, 250));
  const running = run.audit({ waitMs: 30_000 });
  await sleep(700);
  await add(rows.slice(250));
  const result = await running;
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true], result.examples.join("\n"));
  assert.ok(result.waitedS < 20, `${result.waitedS} s`);
});

describe("files of the cut that are gone when they are read", () => {
  /** Compacts the file of the table, and deletes it, when it is about to be read. */
  async function auditWhile(times: number) {
    const run = await landingRun();
    await land(run.lake, run.landed);
    let file = await run.lake.write("telemetry", run.landed);
    run.lake.commit("telemetry", { adds: [file], settles: { even: 1 } });
    let left = times;
    const lake = opening(run, (path) => {
      if (!tableFile.test(path) || left-- <= 0) return;
      const before = file;
      file = compact(run, file);
      rmSync(run.lake.filePath("telemetry", before));
    });
    return { result: await run.audit({ lake }), path: () => file.path };
  }

  test("lead to another cut", async () => {
    const { result } = await auditWhile(3);
    assert.deepEqual([result.faults, result.examples, result.isProven], [[], [], true]);
  });

  test("again and again: the audit ends, and names a file", async () => {
    const { result } = await auditWhile(Number.POSITIVE_INFINITY);
    assert.deepEqual([result.lost, result.isProven], [500, false]);
    assert.equal(result.faults[0]?.code, "AUDIT_FILE_UNREADABLE");
    assert.match(
      result.faults[0]?.message ?? "",
      /the data file telemetry\/\S+\.parquet, which its table names, can't be read: it is gone, and so were files of 3 cuts before/,
    );
  });
});

test("a file that can't be read to its end is read afresh, though others were read after it", async () => {
  const run = await auditedRun({ scenario: { durationS: 3 } });
  const broken = await run.lake.add("telemetry", run.rows.slice(0, 2500));
  await run.lake.add("telemetry", run.rows.slice(2500));
  let opened = 0;
  const lake = opening(
    run,
    () => {},
    (path, file) => {
      if (!file || !path.endsWith(broken.path) || ++opened > 1) return file;
      let slices = 0;
      const slice = (start: number, end: number) => {
        if (++slices > 20) throw new Error("a fault of the disk");
        return file.slice(start, end);
      };
      return { bytes: file.bytes, slice, close: () => file.close() };
    },
  );
  const result = await run.audit({ lake });
  // By the first cut, by the watch, and by the second cut.
  assert.equal(opened, 3);
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true]);
});
