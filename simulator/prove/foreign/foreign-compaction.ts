import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { LakeAccess } from "../lake-access.ts";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";
import { type Action, appendEntry, commitInfo, type LiveFile, type RecentLog } from "./foreign-log.ts";
import { joinFiles } from "./foreign-parquet.ts";
import { joinedStatistics } from "./joined-statistics.ts";

const filesMax = 16;
/** One partition gets its second file soon after a table's first. */
const findTimeoutMs = 15_000;
const pollMs = 100;

export interface ForeignCompactionOptions {
  readonly lake: LakeAccess;
  /** Tables to compact, in turn. */
  readonly tables: readonly string[];
}

interface Joined {
  readonly sources: readonly LiveFile[];
  readonly target: LiveFile;
}

/**
 * Maintenance by another program: small files of one partition become one, and a vacuum without any retention
 * deletes them.
 */
export class ForeignCompaction implements Strikable {
  readonly #options: ForeignCompactionOptions;
  #turn = 0;

  constructor(options: ForeignCompactionOptions) {
    this.#options = options;
  }

  async strike({ pauseMs }: Pick<Strike, "pauseMs">): Promise<StrikeEffect> {
    const { lake, tables } = this.#options;
    for (const endMs = performance.now() + findTimeoutMs; performance.now() < endMs; await delay(pollMs))
      for (let turn = 0; turn < tables.length; turn++) {
        const table = tables[this.#turn++ % tables.length] as string;
        const joined = await this.#compact(table);
        if (!joined) continue;
        // Readers that began before it have that long.
        await delay(pauseMs);
        for (const { path } of joined.sources) await lake.delete(`${table}/${decodeURIComponent(path)}`);
        return { detail: `${joined.sources.length} files of ${table} became one and were deleted` };
      }
    return { isInFlight: false, detail: "no table had files to compact" };
  }

  /** null if the table has nothing to compact, or is not there. */
  async #compact(table: string): Promise<Joined | null> {
    let joined: Joined | null = null;
    const version = await appendEntry(this.#options.lake, table, async (log) => {
      if (!joined || !isLive(joined.sources, log)) joined = await this.#join(table, log.files);
      return joined && [commitInfo("OPTIMIZE"), ...actionsOf(joined)];
    });
    return version === null ? null : joined;
  }

  async #join(table: string, files: readonly LiveFile[]): Promise<Joined | null> {
    const { lake } = this.#options;
    const sources = largestGroup(files).slice(-filesMax);
    if (sources.length < 2) return null;
    const parts = await Promise.all(
      sources.map(({ path }) => lake.get(`${table}/${decodeURIComponent(path)}`)),
    );
    const found = parts.flatMap((part) => part ?? []);
    // A file that is missing has left the table meanwhile.
    if (found.length < sources.length) return null;
    const bytes = await joinFiles(found);
    const first = sources[0] as LiveFile;
    const path = first.path.replace(/[^/]+$/, `foreign-${randomUUID()}.parquet`);
    await lake.putIfAbsent(`${table}/${decodeURIComponent(path)}`, bytes);
    const stats = joinedStatistics(sources);
    const { partitionValues } = first;
    return {
      sources,
      target: { path, partitionValues, size: bytes.length, ...(stats === null ? {} : { stats }) },
    };
  }
}

function isLive(sources: readonly LiveFile[], { files }: RecentLog): boolean {
  const live = new Set(files.map(({ path }) => path));
  return sources.every(({ path }) => live.has(path));
}

/** Of the files of one partition: the most. */
function largestGroup(files: readonly LiveFile[]): readonly LiveFile[] {
  const groups = new Map<string, LiveFile[]>();
  for (const file of files) {
    const key = JSON.stringify(file.partitionValues);
    groups.set(key, [...(groups.get(key) ?? []), file]);
  }
  return [...groups.values()].sort((one, other) => other.length - one.length)[0] ?? [];
}

function actionsOf({ sources, target }: Joined): Action[] {
  const nowMs = Date.now();
  return [
    ...sources.map(({ path }) => ({ remove: { path, dataChange: false, deletionTimestamp: nowMs } })),
    { add: { ...target, dataChange: false, modificationTime: nowMs } },
  ];
}
