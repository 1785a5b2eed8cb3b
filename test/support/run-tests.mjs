// Runs test files, or all of the named suites (default: of all suites). Usage:
// node test/support/run-tests.mjs [tidy|unit|contract|integration|simulation|FILE ...] [-- node options]
import { existsSync } from "node:fs";
import { register } from "tsx/esm/api";
import { ensureDebianPackages } from "./debian-packages.mjs";

register();
const { filesOf, runTests, suites: known } = await import("./test-run.ts");
const separator = process.argv.indexOf("--");
const end = separator < 0 ? process.argv.length : separator;
const named = process.argv.slice(2, end);
const nodeOptions = separator < 0 ? [] : process.argv.slice(separator + 1);
const unknown = named.filter(
  (name) => !known.includes(name) && !(name.endsWith(".test.ts") && existsSync(name)),
);
if (unknown.length > 0) {
  process.stderr.write(`unknown ${unknown.join(", ")}: expected a test file or ${known.join(", ")}\n`);
  process.exit(2);
}

const wanted = named.length === 0 ? known : named;
ensureDebianPackages(wanted.map((name) => known.find((suite) => name.startsWith(`test/${suite}/`)) ?? name));
process.exitCode = await runTests(
  wanted.flatMap((name) => (known.includes(name) ? filesOf(name) : [name])),
  nodeOptions,
);
