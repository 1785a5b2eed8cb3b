import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { test } from "node:test";

const program = join(import.meta.dirname, "..", "..", "dist", "gateway", "main.js");

function tidegate(...args: string[]) {
  const run = spawnSync(process.execPath, [program, ...args], { encoding: "utf8", timeout: 240_000 });
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

test("G1-G8: killed and paused in every process, the gateway loses and doubles nothing", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const { status, json, stderr } = tidegate("prove", "--rounds", "6", "--seed", seed, "--json");
  assert.deepEqual(json?.faults, [], `SEED=${seed} ${stderr}`);
  assert.equal(status, 0);
  assert(json.acked > 0);
  assert.deepEqual(json.kills, { broker: 2, consumer: 2, supervisor: 2 });
  assert.deepEqual(json.pauses, { broker: 2, consumer: 2, supervisor: 2 });
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
});

test("prove refuses what it can't do, before it starts anything", () => {
  for (const [flag, value, named = flag] of [
    ["--rounds", "0"],
    ["--seed", "x"],
    ["--rate", "-1"],
    ["--stream", "kafka:", "stream.url"],
  ] as const) {
    const { status, stderr } = tidegate("prove", flag, value, "--json");
    assert.equal(status, 2, `${flag} ${value}: ${stderr}`);
    assert.match(stderr, new RegExp(named));
  }
});
