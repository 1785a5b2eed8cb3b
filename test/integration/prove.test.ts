import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, test } from "node:test";
import { tableFaults } from "../../simulator/prove/strike.ts";
import { gatewayArguments } from "../support/programs.ts";
import { assertProofHeld } from "../support/proof-held.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-proofs-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Long proofs use all strikes; the other short proofs have the other kinds of foreign commits. */
const strikes = `kill,pause,clock,backlog,clients,${tableFaults.join(",")}`;

function tidegate(...args: string[]) {
  const run = spawnSync(process.execPath, [...gatewayArguments(), ...args], {
    encoding: "utf8",
    timeout: 1_200_000,
  });
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

test("G1-G8: every process is struck next to another writer, and nothing is lost or duplicated", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const out = join(folder, "proof.json");
  const args = ["--rounds", "4", "--seed", seed, "--only", strikes, "--backlog", "3", "--rate", "700"];
  args.push("--out", out);
  const proof = tidegate("prove", ...args, "--json");
  assertProofHeld(proof, seed);
  const { json } = proof;
  assert(json.acked > 0);
  assert.deepEqual(json.kills, { broker: 1, consumer: 1, supervisor: 1, upkeep: 1 });
  assert.deepEqual(json.pauses, { broker: 1, consumer: 1, supervisor: 1, upkeep: 1 });
  assert.deepEqual([json.inFlight.kill.upkeep, json.inFlight.pause.upkeep], [1, 1]);
  assert.deepEqual([json.foreignCommits, json.backlogs], [{ tables: 4 }, { consumers: 4 }]);
  assert.deepEqual(json.clockSteps, { clock: 4 });
  assert.equal(json.hostilePayloads.clients + json.hostileSubscribers.clients, 4);
  assert.equal(json.hostile.filed + json.hostile.quarantined >= json.hostile.acknowledged, true);
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
  assert.deepEqual(JSON.parse(readFileSync(out, "utf8")), json);
  assert.equal(json.file, out);
  const lines = proof.stderr.split("\n").filter((line) => / · (work|NO work) in flight$/.test(line));
  assert.equal(lines.length, 24);
  assert.ok(lines.some((line) => /^[\d:.]{12} round 4\/4: /.test(line)));
});

test("a proof that gets a signal to end leaves no process behind", async () => {
  const place = mkdtempSync(join(folder, "ended-"));
  const own = () => spawnSync("ps", ["-eo", "args"], { encoding: "utf8" }).stdout.split(place).length - 1;
  const args = ["prove", "--rounds", "9", "--only", "pause", "--rate", "50"];
  const child = spawn(process.execPath, [...gatewayArguments(), ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, TMPDIR: place },
  });
  for await (const line of createInterface({ input: child.stderr })) if (line.includes("pause")) break;
  assert.ok(own() >= 4, "the fleet, and a gateway of three processes or more, run");
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  assert.deepEqual(await exited, [1, null]);
  assert.equal(own(), 0);
});

test("a lake that is not empty is refused and stays unchanged", () => {
  const lake = join(folder, "used");
  mkdirSync(join(lake, "telemetry"), { recursive: true });
  writeFileSync(join(lake, "telemetry", "rows.parquet"), "rows");
  const { status, stderr, stdout } = tidegate("prove", "--lake", `file:${lake}`, "--json");
  assert.equal(status, 2, stderr);
  assert.match(stderr, /is not empty: it holds telemetry\/rows\.parquet\. A proof needs an empty place/);
  assert.equal(JSON.parse(stdout).error.code, "PROVE_USAGE");
  assert.deepEqual(readdirSync(lake, { recursive: true }), ["telemetry", "telemetry/rows.parquet"]);
});

test("prove refuses impossible options before it starts anything", () => {
  for (const [flag, value, named = flag] of [
    ["--rounds", "0"],
    ["--seed", "x"],
    ["--rate", "-1"],
    ["--backlog", "0"],
    ["--only", "flush"],
    ["--only", "kill,everything", "--only everything"],
    ["--stream", "kafka:", "stream.url"],
  ] as const) {
    const { status, stderr } = tidegate("prove", flag, value, "--json");
    assert.equal(status, 2, `${flag} ${value}: ${stderr}`);
    assert.match(stderr, new RegExp(named));
  }
});
