import { watch } from "node:fs";
import { join } from "node:path";

const entryName = /^\d{20}\.json$/;

/**
 * Resolves as soon as the next entry appears in the commit log of a lake on disk, or after `timeoutMs`.
 * Random strikes seldom hit the moment between an entry and the tables that show it.
 */
export function nextCommit(lakeFolder: string, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const watcher = watch(join(lakeFolder, "_commits"), (_, name) => {
      if (entryName.test(name ?? "")) end();
    });
    const timer = setTimeout(end, timeoutMs);
    watcher.once("error", reject);
    function end(): void {
      clearTimeout(timer);
      watcher.close();
      resolve();
    }
  });
}
