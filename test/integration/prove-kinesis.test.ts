import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { tableFaults } from "../../simulator/prove/strike.ts";
import { gatewayArguments } from "../support/programs.ts";
import { assertProofHeld } from "../support/proof-held.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-prove-kinesis-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Long proofs use all strikes. */
const strikes = `kill,pause,stream-server,window-server,${tableFaults.join(",")}`;

function prove(...args: string[]) {
  const run = spawnSync(
    process.execPath,
    [...gatewayArguments(), "prove", "--stream", "kinesis:", ...args, "--json"],
    {
      encoding: "utf8",
      timeout: 1_200_000,
      cwd: folder,
      env: { ...process.env, TMPDIR: folder },
    },
  );
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

test("G1-G8 on Kinesis: calls fail in every way, shards are split and merged, and nothing is lost or duplicated", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const proof = prove("--only", strikes, "--rounds", "2", "--rate", "600", "--seed", seed);
  assertProofHeld(proof, seed);
  const { json } = proof;
  assert(json.acked > 0);
  assert.deepEqual([json.splits, json.merges], [{ "stream-server": 1 }, { "stream-server": 1 }]);
  assert.equal(Object.keys(json.calls).length, 2);
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
});

test("G1-G8 on Kinesis with two gateways that share topics, leases and ids on a Redis", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const proof = prove(
    "--window",
    "redis:",
    "--only",
    strikes,
    "--rounds",
    "2",
    "--rate",
    "600",
    "--seed",
    seed,
  );
  assertProofHeld(proof, seed);
  const { json } = proof;
  assert.ok(json.acked > 0);
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
});

test("the audit finds messages that a Kinesis loses by reporting failed entries as stored", (context) => {
  const { status, json, stderr } = prove("--relaxed", "--rounds", "2", "--seed", "1");
  context.diagnostic(`lost ${json?.lost} of ${json?.acked}; ${json?.faults?.[0] ?? stderr}`);
  assert.equal(status, 1);
  assert.ok(json.lost > 0, stderr);
  assert.ok(json.faults.includes(`lost: ${json.lost}`));
});

test("a proof on Kinesis without a round for a split and a merge is refused", () => {
  const { status, stderr } = prove("--rounds", "1");
  assert.equal(status, 2);
  assert.match(stderr, /--rounds.*split.*merge/);
});
