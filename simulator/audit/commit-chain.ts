import type { CommitEntry, Counters } from "./commit-entry.ts";

const quarantine = "_quarantine";

/** Contradictions between consecutive entries of the commit log. */
export function chainFaults(entries: readonly CommitEntry[]): string[] {
  const faults: string[] = [];
  const chain = new Chain();
  for (const entry of entries)
    for (const fault of chain.take(entry)) faults.push(`commit ${entry.number}: ${fault}`);
  return faults;
}

interface LastMove {
  readonly to: string;
  readonly counters: Counters;
  readonly commit: number;
}

class Chain {
  readonly #ids = new Set<string>();
  readonly #moves = new Map<string, LastMove>();
  readonly #tables = new Map<string, number>();
  /** By path of a landing file: the entry that names it. */
  readonly #landings = new Map<string, number>();
  #fence = 0;

  take(entry: CommitEntry): string[] {
    const faults = this.#ids.has(entry.commitId) ? [`an earlier one has its id ${entry.commitId} too`] : [];
    this.#ids.add(entry.commitId);
    const counted = this.#takeMoves(entry, faults);
    for (const [key, table] of entry.tables) {
      const last = this.#tables.get(key);
      if (last !== undefined && table.previousCommit !== undefined && table.previousCommit !== last)
        faults.push(`table ${table.name} was touched before by ${last}, not ${table.previousCommit}`);
      this.#tables.set(key, entry.number);
    }
    if (entry.landing) {
      const { path } = entry.landing;
      const first = this.#landings.get(path);
      if (first !== undefined) faults.push(`${path} is the landing file of ${first} too`);
      this.#landings.set(path, entry.number);
    }
    if (counted) faults.push(...rowFaults(entry, counted));
    const hasFiles = entry.tables.size > 0 || entry.landing !== null;
    if (hasFiles && entry.filesSince !== undefined && entry.filesSince < this.#fence)
      faults.push(`its files were begun after ${entry.filesSince}, before the fence ${this.#fence}`);
    if (entry.isFence) this.#fence = entry.number;
    return faults;
  }

  /**
   * Returns how many messages the entry counts as filed and quarantined; null if an earlier move is not
   * known.
   */
  #takeMoves(entry: CommitEntry, faults: string[]): { filed: number; quarantined: number } | null {
    const counted = { filed: 0, quarantined: 0 };
    let isKnown = true;
    for (const [partition, { from, to, counters, commit, previousCommit }] of entry.moves) {
      if (commit !== undefined && commit !== entry.number)
        faults.push(`it says that the move of ${partition} is in ${commit}`);
      const last = this.#moves.get(partition);
      this.#moves.set(partition, { to, counters, commit: entry.number });
      const { read, filed, duplicates, quarantined, resent, misrouted } = counters;
      if (read !== filed + duplicates + quarantined + resent + misrouted)
        faults.push(`the books of ${partition} do not balance: ${JSON.stringify(counters)}`);
      if (last) {
        if (from !== last.to) faults.push(`${partition} continues at ${from}, and ended at ${last.to}`);
        if (previousCommit !== undefined && previousCommit !== last.commit)
          faults.push(`${partition} was moved before by ${last.commit}, not ${previousCommit}`);
      }
      const before = last?.counters ?? (previousCommit === 0 ? { filed: 0, quarantined: 0 } : null);
      if (!before) isKnown = false;
      counted.filed += filed - (before?.filed ?? 0);
      counted.quarantined += quarantined - (before?.quarantined ?? 0);
    }
    return isKnown ? counted : null;
  }
}

/** An entry's rows are in the files of tables and in its landing file. */
function rowFaults(entry: CommitEntry, counted: { filed: number; quarantined: number }): string[] {
  let [filed, quarantined] = [0, 0];
  for (const [key, { files }] of entry.tables)
    for (const { rows } of files)
      if (key === quarantine) quarantined += rows;
      else filed += rows;
  for (const { key, rows } of entry.landed)
    if (key === quarantine) quarantined += rows;
    else filed += rows;
  const faults: string[] = [];
  if (filed !== counted.filed) faults.push(`its files have ${filed} rows, its books say ${counted.filed}`);
  if (quarantined !== counted.quarantined)
    faults.push(`its files have ${quarantined} quarantined rows, its books say ${counted.quarantined}`);
  return faults;
}
