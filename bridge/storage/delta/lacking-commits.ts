import { BridgeError } from "../../errors.ts";
import type { AddedFile, CommitEntry, TableAdds } from "../commit-log.ts";
import type { CommittedEntries } from "../follow/committed-entries.ts";
import { missingEntry } from "../lake-format.ts";

/** What a topic id (or QUARANTINE) still has to show in the table of its name. */
export interface Pending {
  readonly key: string;
  readonly version: number;
  readonly lastCommit: number;
}

/** A file that a table does not show yet. */
export interface LackingFile extends AddedFile {
  readonly committedAtMs: number;
}

/** What a table lacks, from the oldest commit on. */
export interface LackingCommits {
  /** The first one. */
  readonly first: number;
  /** With `files` the table shows every commit up to this one. */
  readonly upTo: number;
  /** In the order of their commits. */
  readonly files: readonly LackingFile[];
}

/** Commits looked at for one entry of a table: it has hundreds of thousands to catch up with if it was parked for weeks. */
const commitsMax = 1000;
const filesMax = 5000;

type Log = Pick<CommittedEntries, "entry" | "after">;

interface Link {
  readonly number: number;
  readonly key: string;
  readonly table: TableAdds;
  readonly committedAtMs: number;
}

/**
 * What commits after `shown` added to the table of `pending`: all, or a bounded number of the first ones. Each entry names the one before it
 * that touched the same topic's table, so that few are read if the table lacks few.
 *
 * @param from No commit before this one is lacking.
 */
export async function lackingCommits(
  log: Log,
  pending: readonly Pending[],
  { shown, from }: { readonly shown: number; readonly from: number },
): Promise<LackingCommits> {
  const target = Math.max(...pending.map(({ lastCommit }) => lastCommit));
  const links = await linksBack(log, pending, shown);
  return links ? summed(links, target) : linksForward(log, pending, { shown, from, target });
}

/** null = too many. */
async function linksBack(log: Log, pending: readonly Pending[], shown: number): Promise<Link[] | null> {
  const links: Link[] = [];
  for (const { key, lastCommit } of pending)
    for (let number = lastCommit; number > shown; ) {
      const link = linkOf(await log.entry(number), key);
      if (!link) throw missingEntry(number);
      if (links.push(link) > commitsMax) return null;
      number = link.table.previousCommit ?? 0;
    }
  return links.sort((left, right) => left.number - right.number);
}

async function linksForward(
  log: Log,
  pending: readonly Pending[],
  { shown, from, target }: { readonly shown: number; readonly from: number; readonly target: number },
): Promise<LackingCommits> {
  const links: Link[] = [];
  const linked = new Set<string>();
  let files = 0;
  for (let read = Math.max(from, shown + 1) - 1; read < target; ) {
    const run = await runAfter(log, read);
    for (const entry of run)
      for (const { key } of pending) {
        const link = linkOf(entry, key);
        if (!link || link.number <= shown || link.number > target) continue;
        const { previousCommit = 0, adds } = link.table;
        if (!linked.has(key) && previousCommit > shown) throw missingEntry(previousCommit);
        linked.add(key);
        links.push(link);
        files += adds.length;
      }
    read = Math.min(target, run.at(-1)?.number ?? target);
    if (links.length >= commitsMax || files >= filesMax) return summed(links, read);
  }
  return summed(links, target);
}

/** From where the log begins if older entries were given up meanwhile: whether any of them is lacking, the links of the next ones say. */
async function runAfter(log: Log, commit: number): Promise<readonly CommitEntry[]> {
  try {
    return await log.after(commit);
  } catch (error) {
    const earliest =
      error instanceof BridgeError && error.code === "FOLLOWER_TOO_FAR_BEHIND" && error.details["earliest"];
    if (typeof earliest !== "number") throw error;
    return runAfter(log, earliest - 1);
  }
}

function linkOf(entry: CommitEntry | null, key: string): Link | null {
  const table = entry?.tables[key];
  return entry && table ? { number: entry.number, key, table, committedAtMs: entry.committedAtMs } : null;
}

function summed(links: readonly Link[], upTo: number): LackingCommits {
  const files = links.flatMap(({ table, committedAtMs }) =>
    table.adds.map((add) => ({ ...add, committedAtMs })),
  );
  return { first: links[0]?.number ?? upTo, upTo, files };
}
