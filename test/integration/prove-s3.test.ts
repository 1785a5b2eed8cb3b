import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { s3rverCredentials, startS3rver } from "../../simulator/prove/servers/s3rver.ts";
import { compactionFault, parkingFaults } from "../../simulator/prove/strike.ts";
import { gatewayArguments } from "../support/programs.ts";
import { assertProofHeld } from "../support/proof-held.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-prove-s3-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Long proofs use all strikes. */
const foreign = [...parkingFaults, compactionFault].join(",");
const strikes = `kill,pause,lake-server,${foreign}`;

function prove(args: readonly string[], environment: Record<string, string> = {}) {
  const run = spawnSync(process.execPath, [...gatewayArguments(), "prove", ...args, "--json"], {
    encoding: "utf8",
    timeout: 1_200_000,
    env: { ...process.env, TMPDIR: folder, ...environment },
  });
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

test("G1-G8 with a lake in S3: the server and the calls to it are struck, and nothing is lost or duplicated", (context) => {
  const seed = process.env["SEED"] ?? String(randomInt(2 ** 31));
  context.diagnostic(`SEED=${seed}`);
  const proof = prove(["--lake", "s3:", "--only", strikes, "--rounds", "3", "--rate", "600", "--seed", seed]);
  assertProofHeld(proof, seed);
  const { json } = proof;
  assert(json.acked > 0);
  const total = (counts: Record<string, number>) =>
    Object.values(counts).reduce((sum, count) => sum + count, 0);
  assert.deepEqual([total(json.kills), total(json.pauses)], [3, 3]);
  assert.equal(total(json.cuts) + total(json.silences) + total(json.downs) + total(json.readOnlys), 3);
  assert.equal(Object.keys(json.calls).filter((fault) => fault !== "read-only").length, 3);
  assert.deepEqual([json.parkings, json.compactions], [{ tables: 2 }, { tables: 1 }]);
  assert.equal(json.lost + json.duplicated + json.phantom + json.altered + json.unaccounted, 0);
});

test("an S3 server that ignores conditional writes is refused, and nothing is published", async () => {
  const server = await startS3rver({ folder: join(folder, "s3rver"), buckets: ["lake"] });
  try {
    const lake = `s3://lake/here?endpoint=${server.url}&region=us-east-1`;
    const { accessKeyId, secretAccessKey } = s3rverCredentials;
    const credentials = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const { status, json, stderr } = prove(["--lake", lake, "--rounds", "1"], credentials);
    assert.equal(status, 1);
    assert.match(stderr, /ignores conditional writes/);
    assert.equal(json?.acked, undefined);
  } finally {
    await server.kill();
  }
});

test("without radosgw the error names the packages to install", () => {
  const path = join(folder, "bin");
  symlinkSync("/nowhere", path);
  const { status, stderr } = prove(["--lake", "s3:"], { PATH: path });
  assert.equal(status, 1);
  assert.match(stderr, /apt-get install radosgw ceph-mon ceph-osd ceph-common\)/);
});
