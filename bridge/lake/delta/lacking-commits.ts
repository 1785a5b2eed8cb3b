import assert from "node:assert/strict";
import { BridgeError } from "../../errors.ts";
import type { AddedFile, CommitEntry, LakeState } from "../commit-log/commit-log.ts";
import type { CommittedEntries } from "../commit-log/committed-entries.ts";
import { missingEntry } from "../commit-log/lake-format.ts";
import type { UnsettledCommits } from "./unsettled-commits.ts";

/** A topic id (or QUARANTINE) whose commits the table of its name does not show yet. */
export interface Pending {
  readonly key: string;
  readonly version: number;
  readonly lastCommit: number;
}

/**
 * What tables do not show yet, by table name. A topic that is created again under the same name continues the
 * table under another topic id. Such ids are published together, in commit order.
 *
 * @param published By table name, the commit up to which the table shows everything.
 */
export function pendingByName(
  { tables }: Pick<LakeState, "tables">,
  published: ReadonlyMap<string, number>,
): Map<string, Pending[]> {
  const byName = new Map<string, Pending[]>();
  for (const [key, { name, version, last }] of tables) {
    if ((published.get(name) ?? 0) >= last.direct) continue;
    byName.set(name, [...(byName.get(name) ?? []), { key, version, lastCommit: last.direct }]);
  }
  return byName;
}

/** A file that a table does not show yet. */
export interface LackingFile extends AddedFile {
  readonly committedAtMs: number;
}

/** The oldest commits that a table lacks. */
export interface LackingCommits {
  /** Number of the first one. */
  readonly first: number;
  /** With `files`, the table shows every commit up to this one. */
  readonly upTo: number;
  /** In commit order. */
  readonly files: readonly LackingFile[];
}

/** Bounds the commits in one entry of a table: after weeks parked, a table lacks hundreds of thousands. */
const commitsMax = 1000;
const filesMax = 5000;
/** Bounds the entries that are read for one entry of a table: other tables wait meanwhile. */
const entriesMax = 20_000;
/** How often the reading begins again if the log is pruned meanwhile. */
const attemptsMax = 5;

export interface LackingLog {
  readonly entries: Pick<CommittedEntries, "state" | "entry" | "after">;
  /** Has read the log up to `Lacking.target` at least. */
  readonly unsettled: UnsettledCommits;
}

export interface Lacking {
  /** Name of the table. */
  readonly table: string;
  /** The table shows every commit up to this one. */
  readonly shown: number;
  /** The newest commit that brought files to the table. */
  readonly target: number;
  /** No commit before this one is missing from the table. */
  readonly from: number;
}

/**
 * The files that commits in (shown, target] added to the table: all, or a bounded number of the first ones.
 * Rejects with LAKE_DAMAGED if the log gave up a commit that the table does not show.
 *
 * The log gives entries up only if every table shows them, and then records what each table shows
 * (`settled`). So a table that shows that much lacks none of the given up entries, however old its last
 * commit is. A table that shows less was replaced by an older copy, or lost its transaction.
 */
export async function lackingCommits(log: LackingLog, lacking: Lacking): Promise<LackingCommits> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await lackingOnce(log, lacking);
    } catch (error) {
      const isPruned = error instanceof BridgeError && error.code === "FOLLOWER_TOO_FAR_BEHIND";
      if (!isPruned || attempt === attemptsMax) throw error;
    }
  }
}

async function lackingOnce(log: LackingLog, lacking: Lacking): Promise<LackingCommits> {
  const { entries, unsettled } = log;
  const { table, shown, from } = lacking;
  const numbers = unsettled.after(table, "direct", shown);
  if (numbers) return collected(entriesOf(entries, numbers), lacking);
  const { firstKept, tables } = await entries.state();
  const bounds = [...tables.values()]
    .filter(({ name }) => name === table)
    .map(({ settled }) => settled.direct);
  const passed = unsettled.passed(table, "direct");
  const settled = Math.max(passed < firstKept ? passed : 0, ...bounds);
  if (shown + 1 < firstKept && shown < settled) throw missingEntry(shown + 1);
  return collected(entriesFrom(entries, Math.max(from, firstKept, shown + 1)), lacking);
}

/** The first of these entries, until there are enough. */
async function collected(
  entries: AsyncIterable<CommitEntry>,
  { table, shown, target }: Lacking,
): Promise<LackingCommits> {
  const files: LackingFile[] = [];
  let [first, commits, read, upTo] = [0, 0, 0, 0];
  for await (const { number, committedAtMs, tables } of entries) {
    const added = Object.values(tables).filter(({ name }) => name === table);
    upTo = number;
    for (const { adds } of added) files.push(...adds.map((add) => ({ ...add, committedAtMs })));
    if (added.length > 0) {
      first ||= number;
      commits += 1;
    }
    read += 1;
    if (number >= target) break;
    if (commits >= commitsMax || files.length >= filesMax || read >= entriesMax) break;
  }
  assert(upTo > shown, "the log has the last commit of each table");
  return { first: first || upTo, upTo, files };
}

async function* entriesOf(log: LackingLog["entries"], numbers: Iterable<number>) {
  for (const number of numbers) {
    const entry = await log.entry(number);
    if (!entry) throw missingEntry(number);
    yield entry;
  }
}

async function* entriesFrom(log: LackingLog["entries"], first: number): AsyncGenerator<CommitEntry> {
  for (let next = first; ; ) {
    const run = await log.after(next - 1);
    yield* run;
    const last = run.at(-1);
    if (!last) return;
    next = last.number + 1;
  }
}
