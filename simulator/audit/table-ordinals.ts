import type { CommitEntry, LandedRows, NamedTable, TableAdds } from "./commit-entry.ts";

/** Ordinal 0, which no entry names. */
const quarantine: NamedTable = { key: "_quarantine", name: "_quarantine" };

/** Which table has which number, as the entries name them one after another. */
export class TableOrdinals {
  readonly #named = new Map<number, NamedTable>([[0, quarantine]]);

  /** @param known By ordinal: what entries before the first one named. */
  constructor(known: ReadonlyMap<number, NamedTable>) {
    for (const [ordinal, named] of known) this.#named.set(ordinal, named);
  }

  of(ordinal: number): NamedTable | undefined {
    return this.#named.get(ordinal);
  }

  get all(): ReadonlyMap<number, NamedTable> {
    return this.#named;
  }

  /**
   * The entry with its files and landed rows by topic id. `faults` gets what contradicts the entries before it: an ordinal of
   * two tables, a table with two ordinals, and an ordinal that no entry named.
   */
  take(entry: CommitEntry, faults: string[]): CommitEntry {
    for (const [ordinal, named] of entry.names) {
      const known = this.#named.get(ordinal);
      if (known && (known.key !== named.key || known.name !== named.name))
        faults.push(`commit ${entry.number}: table ${ordinal} is ${named.name}, and was ${known.name}`);
      for (const [other, { key }] of this.#named)
        if (key === named.key && other !== ordinal)
          faults.push(`commit ${entry.number}: ${named.name} is table ${ordinal}, and was table ${other}`);
      this.#named.set(ordinal, named);
    }
    const tables = new Map(entry.tables);
    for (const [ordinal, files] of entry.direct) {
      const named = this.#known(entry, ordinal, faults);
      if (named) tables.set(named.key, tableOf(named, files));
    }
    for (const ordinal of entry.settled.keys()) this.#known(entry, ordinal, faults);
    return { ...entry, tables, landed: this.#landed(entry, faults) };
  }

  #landed(entry: CommitEntry, faults: string[]): LandedRows[] {
    const landed: LandedRows[] = [];
    for (const [lane, ofLane] of entry.landing?.rows ?? [])
      for (const [ordinal, rows] of ofLane) {
        const named = this.#known(entry, ordinal, faults);
        if (named) landed.push({ key: named.key, name: named.name, lane, rows });
      }
    return landed;
  }

  #known(entry: CommitEntry, ordinal: number, faults: string[]): NamedTable | undefined {
    const named = this.#named.get(ordinal);
    if (!named) faults.push(`commit ${entry.number}: no entry names table ${ordinal}`);
    return named;
  }
}

function tableOf({ name }: NamedTable, files: TableAdds["files"]): TableAdds {
  const inLake = files.map((file) => ({ ...file, path: `${name}/${file.path}` }));
  return { name, files: inLake, previousCommit: undefined };
}
