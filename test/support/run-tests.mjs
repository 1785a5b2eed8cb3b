// Runs the test files of the named suites (default: all of them) under node:test with tsx.
// Usage: node test/support/run-tests.mjs [tidy|unit|contract|integration|simulation ...] [-- node options]
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ensureDebianPackages } from "./debian-packages.mjs";

const root = join(import.meta.dirname, "..", "..");
const separator = process.argv.indexOf("--");
const end = separator < 0 ? process.argv.length : separator;
const suites = process.argv.slice(2, end);
const nodeOptions = separator < 0 ? [] : process.argv.slice(separator + 1);
const known = ["tidy", "unit", "contract", "simulation", "integration"];
const unknown = suites.filter((suite) => !known.includes(suite));
if (unknown.length > 0) {
  process.stderr.write(`unknown suite ${unknown.join(", ")}: expected ${known.join(", ")}\n`);
  process.exit(2);
}

const wanted = suites.length === 0 ? known : suites;
ensureDebianPackages(wanted);
const files = wanted.flatMap((suite) =>
  suite === "tidy"
    ? [join("test", "tidy.test.ts")]
    : readdirSync(join(root, "test", suite), { recursive: true })
        .filter((file) => file.endsWith(".test.ts"))
        .sort()
        .map((file) => join("test", suite, file)),
);
const run = spawnSync(
  process.execPath,
  [
    ...["--import", "tsx", "--import", join(import.meta.dirname, "say-what-holds.mjs")],
    `--test-reporter=${join(import.meta.dirname, "reporter.mjs")}`,
    ...["--test", "--test-concurrency=2", "--test-timeout=300000", ...nodeOptions, ...files],
  ],
  { cwd: root, stdio: "inherit" },
);
process.exit(run.status ?? 1);
