import type { AppendOutcome, CommitEntry, LakeState } from "../../bridge/lake/commit-log/commit-log.ts";
import { type CommitLogOptions, LakeCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { encodeJson, entryPath } from "../../bridge/lake/commit-log/lake-format.ts";
import { moveOf } from "../../bridge/lake/commit-log/past-partitions.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";

/**
 * The first entries come from a version that did not record the parents of partitions, and named tables by
 * their topic ids.
 */
export class CommitLogAsBefore extends LakeCommitLog {
  readonly #store: ObjectStore;
  readonly #lastEntry: number;

  /** @param lastEntry Number of the last entry of that version. */
  constructor(
    store: ObjectStore,
    lakeId: string,
    options: CommitLogOptions & { readonly lastEntry: number },
  ) {
    super(store, lakeId, options);
    this.#store = store;
    this.#lastEntry = options.lastEntry;
  }

  override async append(entry: CommitEntry): Promise<{ outcome: AppendOutcome }> {
    if (entry.number > this.#lastEntry) return super.append(entry);
    const state = await this.load();
    if (entry.number !== state.number + 1) return { outcome: "taken" };
    const isConflict = Object.entries(entry.moves).some(
      ([key, { from }]) => from !== (moveOf(state, key)?.to ?? ""),
    );
    if (isConflict) return { outcome: "conflict" };
    const hasFiles = Object.keys(entry.tables).length > 0;
    if (hasFiles && (entry.filesSince ?? 0) < state.fence) return { outcome: "fenced" };
    await this.#store.putIfAbsent(entryPath(entry.number), encodeJson(asBefore(state, entry)));
    // The log may have been pruned beneath the entry.
    await this.reload();
    const found = await this.entry(entry.number);
    return { outcome: found?.commitId === entry.commitId ? "committed" : "taken" };
  }
}

function asBefore(state: LakeState, { upkeep, ...entry }: CommitEntry): object {
  const moves = Object.entries(entry.moves).map(([key, { parents: _, ...move }]) => {
    const links = { commit: entry.number, previousCommit: state.moves.get(key)?.commit ?? 0 };
    return [key, { ...move, ...links }] as const;
  });
  const tables = Object.entries(entry.tables).map(([key, table]) => {
    const { version = 0, last } = state.tables.get(key) ?? {};
    const previousCommit = last?.direct ?? 0;
    return [key, { ...table, version: Math.max(version, table.version), previousCommit }] as const;
  });
  const { settled: _, ...others } = upkeep ?? {};
  return {
    ...entry,
    format: 3,
    moves: Object.fromEntries(moves),
    tables: Object.fromEntries(tables),
    ...(upkeep && { upkeep: others }),
  };
}
