import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { Admission } from "./admission.ts";
import { bundlesFolder } from "./bundle-source.ts";
import { bundleOf, bundleTests } from "./bundle-tests.ts";
import { machineSlowness } from "./machine-slowness.ts";

const root = join(import.meta.dirname, "..", "..");
/** Time after which a file hangs, on a machine of the usual speed. */
const hangMs = 600_000;
/** Limit for a process that does not end by itself, including the wait for its turn. */
const lostMs = 3_600_000;
/** Processes of test files at a time; some of them wait for their turn. */
const processes = 10;

const preload = "test/support/test-process.ts";
const reporter = "test/support/reporter.ts";
/** Programs that tests start. */
const programs = [
  "gateway/main.ts",
  "simulator/prove/under-test/clock-preload.ts",
  "gateway/processes/stall-sampler.ts",
  "simulator/main.ts",
];

export const suites = ["tidy", "unit", "contract", "simulation", "integration"] as const;
export type Suite = (typeof suites)[number];

/** Test files of a suite, relative to the repository. */
export function filesOf(suite: Suite): string[] {
  return suite === "tidy" ? ["test/tidy.test.ts"] : filesBelow(`test/${suite}`, /\.test\.ts$/);
}

/**
 * Bundles test files and runs them under `node --test`. Resolves with its exit code.
 * @param files Relative to the repository.
 * @param nodeOptions Further ones, such as `--test-name-pattern=…`.
 */
export async function runTests(files: readonly string[], nodeOptions: readonly string[]): Promise<number> {
  removeLeftBundles();
  const bundles = mkdtempSync(join(root, bundlesFolder, `${process.pid}-`));
  const folder = mkdtempSync(join(tmpdir(), "tidegate-run-"));
  const admission = await Admission.open(join(folder, "admission"));
  try {
    const children = filesBelow("test/support", /-(child|process)\.ts$/);
    const sources = [...files, reporter, ...programs, ...children];
    await bundleTests({ root, folder: bundles, sources });
    const limitMs = process.env["TEST_HANG_MS"] ?? String(Math.round(hangMs * machineSlowness()));
    const options = [
      ...["--enable-source-maps", "--import", bundleOf(bundles, preload)],
      ...["--test", `--test-reporter=${bundleOf(bundles, reporter)}`],
      ...[`--test-concurrency=${processes}`, `--test-timeout=${lostMs}`, ...nodeOptions],
    ];
    return await run([...options, ...files.map((file) => bundleOf(bundles, file))], {
      TEST_BUNDLES: bundles,
      TEST_ADMISSION: join(folder, "admission"),
      TEST_USAGE: join(folder, "usage"),
      TEST_HANG_MS: limitMs,
    });
  } finally {
    admission.close();
    for (const left of [bundles, folder]) rmSync(left, { recursive: true, force: true });
  }
}

/** Removes the folders of killed runs. */
function removeLeftBundles(): void {
  const folder = join(root, bundlesFolder);
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder))
    if (!isAlive(Number.parseInt(name, 10))) rmSync(join(folder, name), { recursive: true, force: true });
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function filesBelow(folder: string, name: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => name.test(file))
    .sort()
    .map((file) => join(folder, file));
}

function run(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<number> {
  // A run that a test starts is a run of its own: Node.js would skip its files.
  const { NODE_TEST_CONTEXT: _, ...inherited } = process.env;
  const env = { ...inherited, ...environment };
  const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit", env });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
