import type { CommitEntry } from "../../bridge/lake/commit-log/commit-log.ts";
import type { StoredEntry } from "../../bridge/lake/commit-log/lake-schemas.ts";
import type { CommittedLanding } from "../../bridge/lake/commit-log/landed-file.ts";
import { type LaneCommits, lanes, noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";

type Report = (rule: "misfiled" | "unsettled", detail: string) => void;
type Tables = CommitEntry["tables"];

/** Which entries name which table, read by the tests' own words. Reports what contradicts earlier entries. */
export class OrdinalRecord {
  /** By ordinal. */
  readonly named = new Map([["0", { key: "_quarantine", name: "_quarantine", version: 0 }]]);
  /** By topic id: the highest bounds. */
  readonly bounds = new Map<string, LaneCommits>();
  readonly #report: Report;

  constructor(report: Report) {
    this.#report = report;
  }

  /** The entry with its files by topic id. */
  read({ direct = {}, landing, names = {}, tables: old, upkeep, ...entry }: StoredEntry): CommitEntry {
    const { number } = entry;
    for (const [ordinal, named] of Object.entries(names)) {
      const known = this.named.get(ordinal);
      if (known && known.key !== named.key)
        this.#report("misfiled", `entry ${number}: table ${ordinal} is ${named.name}, and was ${known.name}`);
      for (const [other, { key }] of this.named)
        if (key === named.key && other !== ordinal)
          this.#report("misfiled", `entry ${number}: ${named.name} is table ${ordinal}, and was ${other}`);
      this.named.set(ordinal, named);
    }
    const tables: Record<string, Tables[string]> = { ...old };
    for (const [ordinal, adds] of Object.entries(direct)) {
      const named = this.named.get(ordinal);
      if (!named) this.#report("misfiled", `entry ${number}: no entry names table ${ordinal}`);
      else tables[named.key] = { name: named.name, version: named.version, adds };
    }
    for (const [ordinal, [direct, even, odd, late]] of Object.entries(upkeep?.settled ?? {}))
      this.#bounded(number, this.named.get(ordinal)?.key ?? ordinal, { direct, even, odd, late });
    const { settled: _, ...others } = upkeep ?? {};
    const landed = landing && this.#landed(number, landing);
    return { ...entry, tables, ...(landed && { landing: landed }), ...(upkeep && { upkeep: others }) };
  }

  #landed(number: number, { rows, ...file }: NonNullable<StoredEntry["landing"]>): CommittedLanding {
    const tables: Record<string, CommittedLanding["tables"][string]> = {};
    for (const [lane, ofLane] of Object.entries(rows))
      for (const [ordinal, count] of ofLane) {
        const named = this.named.get(String(ordinal));
        if (!named) this.#report("misfiled", `entry ${number}: no entry names table ${ordinal}`);
        else {
          const { key, name, version } = named;
          tables[key] = { name, version, rows: { ...tables[key]?.rows, [lane]: count } };
        }
      }
    return { file, tables };
  }

  #bounded(number: number, key: string, bound: LaneCommits): void {
    const before = this.bounds.get(key) ?? noCommits;
    for (const lane of lanes)
      if (bound[lane] < before[lane])
        this.#report(
          "unsettled",
          `entry ${number}: ${lane} of ${key} falls from ${before[lane]} to ${bound[lane]}`,
        );
    this.bounds.set(key, bound);
  }
}
