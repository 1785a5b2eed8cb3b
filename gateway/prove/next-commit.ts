import { watch } from "node:fs";
import { join } from "node:path";

const entryName = /^\d{20}\.json$/;

/**
 * Resolves as soon as the next entry appears in the commit log of a lake on disk: between it and the tables that are to show it lies
 * the moment that a random strike seldom meets. Resolves after `timeoutMs` where none comes.
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
