/**
 * Runs the benches one after another, each in a process of its own, and prints one JSON object with all
 * results as the last line. Usage: npm run bench [-- NAME ...]; a NAME is a file of this folder without its
 * ending.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { basename, join } from "node:path";

const folder = import.meta.dirname;
const notBenches = new Set(["run"]);
const known = readdirSync(folder)
  .filter((file) => file.endsWith(".ts"))
  .map((file) => basename(file, ".ts"))
  .filter((name) => !notBenches.has(name))
  .sort();
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`unknown bench ${unknown.join(", ")}: expected ${known.join(", ")}\n`);
  process.exit(2);
}

function lastJsonLine(output: string): unknown {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line);
  } catch {
    return { error: "no JSON on the last line", line };
  }
}

const results: Record<string, unknown> = {};
let failed = false;
for (const name of asked.length > 0 ? asked : known) {
  process.stderr.write(`bench ${name} …\n`);
  const run = spawnSync(process.execPath, ["--expose-gc", "--import", "tsx", join(folder, `${name}.ts`)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    timeout: 7_200_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  results[name] = lastJsonLine(run.stdout);
  if (run.status !== 0) failed = true;
  process.stderr.write(`${JSON.stringify(results[name], null, 2)}\n`);
}
const machine = { node: process.version, cores: cpus().length, memoryGiB: Math.round(totalmem() / 2 ** 30) };
process.stdout.write(`${JSON.stringify({ at: new Date().toISOString(), machine, results })}\n`);
process.exit(failed ? 1 : 0);
