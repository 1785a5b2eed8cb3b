// Compiles the product to dist/ and makes the command executable. A script rather than a one-liner, so that it runs the same on every platform's shell.
import { spawnSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
rmSync(join(root, "dist"), { recursive: true, force: true });
const compiled = spawnSync(process.execPath, [join(typescript, "bin", "tsc"), "-p", "tsconfig.build.json"], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
const proto = join("devices", "protocol", "telemetry-envelope.proto");
mkdirSync(dirname(join(root, "dist", proto)), { recursive: true });
copyFileSync(join(root, proto), join(root, "dist", proto));
chmodSync(join(root, "dist", "gateway", "main.js"), 0o755);
