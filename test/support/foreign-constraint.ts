import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface MetaData {
  readonly configuration?: Readonly<Record<string, string>>;
}

/**
 * The same as `add_constraint` of delta-rs, without the cost of its start: adds a CHECK constraint to a
 * table of a gateway on this disk, or removes it.
 */
export function setConstraint(tableFolder: string, expression: string | null): void {
  const folder = join(tableFolder, "_delta_log");
  for (;;) {
    const names = readdirSync(folder)
      .filter((name) => /^\d{20}\.json$/.test(name))
      .sort();
    const version = Number(names.at(-1)?.slice(0, 20)) + 1;
    const entry = join(folder, `${String(version).padStart(20, "0")}.json`);
    const metaData = lastMetaData(folder, names);
    const configuration = expression === null ? {} : { "delta.constraints.p": expression };
    const actions = [
      { commitInfo: { timestamp: Date.now(), operation: "ADD CONSTRAINT" } },
      { protocol: { minReaderVersion: 1, minWriterVersion: 3 } },
      { metaData: { ...metaData, configuration } },
    ];
    if (existsSync(entry)) continue;
    writeFileSync(entry, actions.map((action) => JSON.stringify(action)).join("\n"), { flag: "wx" });
    return;
  }
}

function lastMetaData(folder: string, names: readonly string[]): MetaData {
  for (const name of names.toReversed())
    for (const line of readFileSync(join(folder, name), "utf8").split("\n")) {
      const { metaData } = line === "" ? {} : (JSON.parse(line) as { metaData?: MetaData });
      if (metaData) return metaData;
    }
  throw new Error(`there is no metadata in ${folder}`);
}
