import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const sourceFolders = ["devices", "broker", "bridge", "simulator", "gateway"];
/** Where `run-tests.mjs` has put bundles; a test file that is run by itself has none. */
const bundles = process.env["TEST_BUNDLES"];

/** The gateway as `npm run build` compiles it. */
export const compiledGateway = join(root, "dist", "gateway", "main.js");

/** The arguments with which Node.js runs a program of this repository: its bundle, else its source through tsx. */
export function programArguments(source: string): string[] {
  if (bundles === undefined) return ["--import", "tsx", join(root, source)];
  return ["--enable-source-maps", join(bundles, source.replace(/\.ts$/, ".js"))];
}

/** The same for the gateway; without a bundle what is compiled, if that is newer than every source. */
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
