import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { SimulatorError } from "../../errors.ts";

/**
 * The file that `find` finds in an npm package that only proofs and tests need. Throws PROVE_SERVER_FAILED
 * with what to install.
 *
 * @param find `() => require.resolve(…)`, so that tools which look for unused packages see the name.
 */
export function packageFile(packageName: string, find: () => string): string {
  try {
    return find();
  } catch (cause) {
    throw new SimulatorError(
      "PROVE_SERVER_FAILED",
      `the npm package ${packageName} is not installed. Install it: npm install --no-save ${packageName}`,
      { retryable: false, cause },
    );
  }
}

/** The path of a program on PATH. Throws PROVE_SERVER_FAILED with what to install. */
export function programOnPath(program: string, debianPackage: string, path = process.env["PATH"]): string {
  for (const folder of (path ?? "").split(delimiter)) {
    const file = join(folder, program);
    try {
      accessSync(file, constants.X_OK);
      return file;
    } catch {
      // The next folder may have it.
    }
  }
  throw new SimulatorError(
    "PROVE_SERVER_FAILED",
    `${program} is not installed. Install it (Debian: apt-get install ${debianPackage})`,
    { retryable: false },
  );
}
