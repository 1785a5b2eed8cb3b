import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { openLakeAccess } from "../../../../simulator/prove/lake-access.ts";
import { maintenanceOf } from "../../../../simulator/prove/maintenance.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-maintenance-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, text = ""): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
}

const twenty = (number: number) => String(number).padStart(20, "0");

test("the housekeeping of a lake is read from its logs, and vacuum from the gateways' logs", async () => {
  for (const number of [4, 5, 6]) write(`lake/_commits/${twenty(number)}.json`);
  write(`lake/_commits/${twenty(5)}.snapshot.json`);
  write("lake/_commits/lake.json");
  for (const version of [20, 21, 22]) write(`lake/t/_delta_log/${twenty(version)}.json`);
  write(`lake/t/_delta_log/${twenty(20)}.checkpoint.parquet`);
  write(`lake/t/_delta_log/_last_checkpoint`);
  write(`lake/u/_delta_log/${twenty(0)}.json`);
  const done = (orphans: number) => JSON.stringify({ level: 30, event: "vacuum.done", orphans });
  const logFiles = [
    write("a.log", `ready\n${done(2)}\n{"event":"x"}\n${done(0)}\n${done(7).slice(0, -4)}`),
    write("b.log", `${done(3)}\n`),
  ];
  const lake = openLakeAccess(`file:${join(folder, "lake")}`);
  assert.deepEqual(await maintenanceOf({ lake, tables: ["t", "u", "nowhere"], logFiles }), {
    commits: 6,
    prunedCommits: 3,
    checkpoints: 1,
    cleanedEntries: 20,
    vacuums: 3,
    vacuumedFiles: 5,
  });
});
