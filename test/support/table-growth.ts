import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/** The number of rows in a table on this disk over time, by its Delta log; oldest first. */
export function tableGrowth(tableFolder: string): { readonly atMs: number; readonly rows: number }[] {
  const folder = join(tableFolder, "_delta_log");
  let rows = 0;
  return readdirSync(folder)
    .filter((name) => /^\d{20}\.json$/.test(name))
    .sort()
    .map((name) => {
      for (const line of readFileSync(join(folder, name), "utf8").split("\n")) {
        const { add } = line === "" ? {} : (JSON.parse(line) as { add?: { stats: string } });
        if (add) rows += (JSON.parse(add.stats) as { numRecords: number }).numRecords;
      }
      return { atMs: statSync(join(folder, name)).mtimeMs, rows };
    });
}
