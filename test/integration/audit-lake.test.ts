import assert from "node:assert/strict";
import {
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { auditedRun, flaws, startedAtMs } from "../support/audited-run.ts";

test("a hidden table entry is found: the last entry by its rows, an earlier one by the gap", async () => {
  for (const hidden of [1, 2]) {
    const { lake, rows, audit } = await auditedRun();
    for (const at of [0, 1, 2]) await lake.add("telemetry", rows.slice(at * 200, at * 200 + 200));
    rmSync(lake.entryPath("telemetry", hidden));
    const result = await audit();
    assert.ok(result.lost > 0);
    assert.equal(result.isProven, false);
    assert.deepEqual(
      result.faults.map(({ code }) => code),
      hidden === 1 ? ["AUDIT_LOG_BROKEN"] : [],
    );
  }
});

test("a removed or damaged data file is found", async () => {
  const removed = await auditedRun();
  const files = [
    await removed.lake.add("telemetry", removed.rows.slice(0, 250)),
    await removed.lake.add("telemetry", removed.rows.slice(250)),
  ];
  rmSync(removed.lake.filePath("telemetry", files[1] as (typeof files)[0]));
  const result = await removed.audit();
  assert.deepEqual(
    [result.lost, result.faults[0]?.code, result.isProven],
    [250, "AUDIT_FILE_UNREADABLE", false],
  );

  const damaged = await auditedRun();
  const file = await damaged.lake.add("telemetry", damaged.rows);
  truncateSync(damaged.lake.filePath("telemetry", file), file.bytes - 20);
  assert.equal((await damaged.audit()).faults[0]?.code, "AUDIT_FILE_UNREADABLE");
});

test("data files that no log names do not count", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows);
  await lake.write("telemetry", rows);
  assert.equal((await audit()).isProven, true);
});

test("checkpoints in one and in several parts replace the entries before them", async () => {
  for (const parts of [1, 2]) {
    const { lake, rows, audit } = await auditedRun();
    await lake.add("telemetry", rows.slice(0, 100));
    const replaced = await lake.add("telemetry", rows.slice(0, 150));
    lake.commit("telemetry", {
      adds: [await lake.write("telemetry", rows.slice(100, 200))],
      removes: [replaced.path],
    });
    await lake.checkpoint("telemetry", { parts, removeEntries: true });
    await lake.add("telemetry", rows.slice(200));
    const result = await audit();
    assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true]);
  }
});

test("a table that needs a newer reader is refused, not misread", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows);
  const entry = lake.entryPath("telemetry", 0);
  writeFileSync(entry, readFileSync(entry, "utf8").replace('"minReaderVersion":1', '"minReaderVersion":3'));
  assert.deepEqual(
    (await audit()).faults.map(({ code }) => code),
    ["AUDIT_TABLE_UNSUPPORTED"],
  );
});

test("the audit waits for entries that are still to come, and reads each file once even if tables are compacted meanwhile", async () => {
  const { lake, rows, audit } = await auditedRun();
  const first = await lake.add("telemetry", rows.slice(0, 250));
  const whole = await lake.write("telemetry", rows.slice(0, 250));
  const rest = await lake.write("telemetry", rows.slice(250));
  const running = audit({ waitMs: 20_000, settleMs: 0 });
  setTimeout(
    () => lake.commit("telemetry", { adds: [whole], removes: [first.path], dataChange: false }),
    300,
  );
  setTimeout(() => lake.commit("telemetry", { adds: [rest] }), 1500);
  const result = await running;
  assert.deepEqual([...flaws(result), result.isProven], [0, 0, 0, 0, true]);
  assert.ok(result.waitedS < 20);
});

test("the audit does not end before a late duplicate could have appeared", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows);
  const again = await lake.write("telemetry", rows.slice(0, 1));
  const running = audit({ waitMs: 20_000, settleMs: 3000 });
  setTimeout(() => lake.commit("telemetry", { adds: [again] }), 1000);
  assert.deepEqual(flaws(await running), [0, 1, 0, 0]);
});

test("files from before the run are not read", async () => {
  const { lake, rows, audit } = await auditedRun();
  const old = rows.map((row) => ({
    ...row,
    messageId: Buffer.from("old"),
    ingestTimeMs: startedAtMs - 2 * 3_600_000,
  }));
  const file = await lake.add("telemetry", old);
  await lake.add("telemetry", rows);
  // Trusting the log alone could hide rows.
  const misled = await audit();
  assert.deepEqual([misled.files, misled.isProven], [2, true]);
  const before = new Date(startedAtMs - 2 * 3_600_000);
  utimesSync(lake.filePath("telemetry", file), before, before);
  const result = await audit();
  assert.deepEqual([result.files, result.isProven], [1, true]);
});

test("a table that appears later, and a lake without tables, are no faults", async () => {
  const { lake, rows, audit } = await auditedRun();
  assert.equal((await audit()).lost, 500);
  await lake.add("telemetry", rows);
  renameSync(join(lake.folder, "telemetry"), join(lake.folder, "renamed"));
  assert.equal((await audit()).isProven, true);
});

test("a lake of a newer version is AUDIT_LAKE_UNSUPPORTED, whatever its tables look like", async () => {
  const { lake, rows, audit } = await auditedRun();
  await lake.add("telemetry", rows);
  const say = (text: string) => {
    mkdirSync(join(lake.folder, "_commits"), { recursive: true });
    writeFileSync(join(lake.folder, "_commits", "lake.json"), text);
  };
  say('{"format":5,"lakeId":"x"}');
  assert.equal((await audit()).isProven, true);
  for (const text of ['{"format":2}', "{}", "null", "not JSON"]) {
    say(text);
    await assert.rejects(audit(), { code: "AUDIT_LAKE_UNSUPPORTED" }, text);
  }
});
