import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..", "..");

/**
 * Packs what `npm run build` made and installs it into a folder, as `npm install --omit=dev` does, but with
 * the dependencies of this repository. Returns the command's file.
 */
export function installPackage(folder: string): string {
  const modules = join(folder, "node_modules");
  const place = join(modules, "tidegate");
  mkdirSync(place, { recursive: true });
  run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder], root);
  run("sh", ["-c", `tar -xzf tidegate-*.tgz --strip-components=1 -C '${place}'`], folder);
  for (const name of dependencies()) {
    mkdirSync(dirname(join(modules, name)), { recursive: true });
    symlinkSync(join(root, "node_modules", name), join(modules, name));
  }
  const { bin } = JSON.parse(readFileSync(join(place, "package.json"), "utf8")) as {
    bin: { tidegate: string };
  };
  return join(place, bin.tidegate);
}

/** All that is not for development only. */
function dependencies(): string[] {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean; devOptional?: boolean; link?: boolean }>;
  };
  return Object.entries(lock.packages).flatMap(([path, { dev, devOptional, link }]) => {
    const [, name] = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path) ?? [];
    return name === undefined || dev || devOptional || link ? [] : [name];
  });
}

function run(command: string, args: readonly string[], cwd: string): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stdout + stderr}`);
}
