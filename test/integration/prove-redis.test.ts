import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, test } from "node:test";
import { compactionFault, parkingFaults } from "../../simulator/prove/strike.ts";
import { gatewayArguments } from "../support/programs.ts";
import { assertProofHeld } from "../support/proof-held.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-slow-disk-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Long proofs use all strikes. */
const foreign = [...parkingFaults, compactionFault].join(",");
const strikes = `kill,pause,stream-server,window-server,${foreign},topics`;

function prove(args: readonly string[], environment: Record<string, string> = {}) {
  const run = spawnSync(process.execPath, [...gatewayArguments(), "prove", ...args, "--json"], {
    encoding: "utf8",
    timeout: 1_200_000,
    env: { ...process.env, ...environment },
  });
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

test("G1-G8 on Redis: two gateways and their servers are struck everywhere, and nothing is lost or duplicated", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const redis = ["--stream", "redis:", "--window", "redis:", "--only", strikes];
  const proof = prove([...redis, "--rounds", "6", "--rate", "700", "--seed", seed]);
  assertProofHeld(proof, seed);
  const { json } = proof;
  assert(json.acked > 0);
  const processes = { broker: 1, consumer: 1, supervisor: 1, upkeep: 1 };
  const servers = { "stream-server": 1, "window-server": 1 };
  assert.deepEqual(
    [json.kills, json.pauses],
    [
      { ...processes, ...servers },
      { ...processes, ...servers },
    ],
  );
  assert.equal(json.parkings.tables + json.compactions.tables, 6);
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
});

/** `redis-server` on a disk whose flushes take two seconds, like a shared or failing disk. */
function slowDisk(): Record<string, string> {
  const found = spawnSync("sh", ["-c", "command -v redis-server"], { encoding: "utf8" }).stdout.trim();
  const wrapper = join(folder, "redis-server");
  const inject = "fdatasync,fsync:delay_enter=2000000";
  writeFileSync(
    wrapper,
    `#!/bin/sh\nexec strace -D -f -qq -o /dev/null -e trace=fdatasync,fsync -e inject=${inject} ${found} "$@"\n`,
  );
  chmodSync(wrapper, 0o755);
  return { PATH: `${folder}${delimiter}${process.env["PATH"]}` };
}

test("the audit finds messages that a server with appendfsync everysec confirms and loses", (context) => {
  const environment = slowDisk();
  for (let seed = 1; seed <= 4; seed++) {
    const args = ["--stream", "redis:", "--relaxed", "--rounds", "4", "--seed", String(seed)];
    const { status, json, stderr } = prove(args, environment);
    context.diagnostic(`seed ${seed}: lost ${json?.lost} of ${json?.acked}; ${json?.faults?.[0] ?? stderr}`);
    if (!(json?.lost > 0)) continue;
    assert.equal(status, 1);
    assert.ok(json.faults.includes(`lost: ${json.lost}`));
    rmSync(json.folder, { recursive: true, force: true });
    return;
  }
  assert.fail("no seed lost anything, so this test checks nothing");
});
