import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { installPackage } from "../support/installed-package.ts";
import { assertProofHeld } from "../support/proof-held.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-installed-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const program = installPackage(folder);

function prove(...args: string[]) {
  const run = spawnSync(process.execPath, [program, "prove", ...args, "--json"], {
    encoding: "utf8",
    timeout: 1_200_000,
    cwd: folder,
    env: { ...process.env, TMPDIR: folder },
  });
  return { ...run, json: JSON.parse(run.stdout.trimEnd().split("\n").at(-1) || "null") };
}

for (const backends of [[], ["--stream", "redis:", "--window", "redis:"]])
  test(`the installed package proves itself: prove ${backends.join(" ")}`, () => {
    const proof = prove(...backends, "--rounds", "2", "--seed", "1", "--only", "kill");
    assertProofHeld(proof, "1");
    assert.ok(proof.json.acked > 0);
  });

test("the installed package has no servers for Kinesis and S3, says so, and starts nothing", () => {
  assert.equal(existsSync(join(dirname(program), "..", "simulator", "prove", "servers")), false);
  for (const [flag, url] of [
    ["--stream", "kinesis:"],
    ["--lake", "s3:"],
  ] as const) {
    const { status, json, stderr } = prove(flag, url);
    assert.equal(status, 2, stderr);
    assert.equal(json.error.code, "PROVE_NEEDS_CHECKOUT");
    assert.equal(
      stderr,
      `${flag}: the installed package can't start this server. Run the proof from a checkout of Tidegate, or name a running server with ${flag}.\n`,
    );
  }
});
