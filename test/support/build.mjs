// Compiles the product to dist/ and makes the command executable. A script rather than a one-liner, so that
// it runs the same on every platform's shell.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const fresh = join(root, `dist.${process.pid}`);
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
const compiler = [join(typescript, "bin", "tsc"), "-p", "tsconfig.build.json", "--outDir", fresh];
const compiled = spawnSync(process.execPath, compiler, { cwd: root, stdio: "inherit" });
if (compiled.status !== 0) {
  rmSync(fresh, { recursive: true, force: true });
  process.exit(compiled.status ?? 1);
}
const proto = join("devices", "protocol", "telemetry-envelope.proto");
mkdirSync(dirname(join(fresh, proto)), { recursive: true });
copyFileSync(join(root, proto), join(fresh, proto));
chmodSync(join(fresh, "gateway", "main.js"), 0o755);
// Replaced as a whole, so that a process that runs from dist/ sees either the old files or the new ones.
rmSync(join(root, "dist"), { recursive: true, force: true });
renameSync(fresh, join(root, "dist"));
