import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const sourceFolders = ["devices", "broker", "bridge", "simulator", "gateway"];
/** Folder of the bundles of `run-tests.mjs`; undefined for a test file that runs by itself. */
const bundles = process.env["TEST_BUNDLES"];

/** The gateway as `npm run build` compiles it. */
export const compiledGateway = join(root, "dist", "gateway", "main.js");

/**
 * Arguments for Node.js to run a program of this repository: its bundle, otherwise its source through tsx.
 */
export function programArguments(source: string): string[] {
  if (bundles === undefined) return ["--import", "tsx", join(root, source)];
  return ["--enable-source-maps", join(bundles, source.replace(/\.ts$/, ".js"))];
}

/** The same for the gateway; without a bundle, the compiled program if it is newer than all sources. */
export function gatewayArguments(): string[] {
  return bundles === undefined && isFresh() ? [compiledGateway] : programArguments("gateway/main.ts");
}

function isFresh(): boolean {
  const compiledAtMs = existsSync(compiledGateway) ? statSync(compiledGateway).mtimeMs : 0;
  return sourceFolders.every((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .every((file) => statSync(join(root, folder, file)).mtimeMs < compiledAtMs),
  );
}
