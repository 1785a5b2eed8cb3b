import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { SimulatorProcess } from "../../../../simulator/prove/simulator-process.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-fleet-"));
after(() => rmSync(folder, { recursive: true, force: true }));
for (const name of ["gateway", "simulator"]) mkdirSync(join(folder, name));

function start(simulator: string): SimulatorProcess {
  writeFileSync(join(folder, "simulator", "main.mjs"), simulator);
  const logFile = join(folder, "log");
  return new SimulatorProcess(join(folder, "gateway", "main.mjs"), ["simulate"], { logFile });
}

test("a fleet that ends by itself has ended, with its exit code, whatever it said", async () => {
  const fleet = start("console.log('no JSON'); process.exitCode = 3;");
  assert.deepEqual(await fleet.result, { exitCode: 3, json: null });
  assert.equal(fleet.hasEnded, true);
});

test("a fleet goes on until it is told to finish, and then reports", async () => {
  const ready = join(folder, "ready");
  const fleet = start(`
    import { writeFileSync } from "node:fs";
    const timer = setInterval(() => {}, 1000);
    process.once("SIGINT", () => {
      console.log(JSON.stringify(process.argv.slice(2)));
      clearInterval(timer);
    });
    writeFileSync(${JSON.stringify(ready)}, "");
  `);
  while (!existsSync(ready)) await delay(10);
  assert.equal(fleet.hasEnded, false);
  assert.deepEqual(await fleet.finish(60_000), { exitCode: 0, json: ["simulate", "--json"] });
});
