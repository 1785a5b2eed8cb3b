import { Registry } from "prom-client";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import type { LandedSource, RowFiles, TableRows } from "../../bridge/lake/landing/row-files.ts";
import { createParquetRowFiles } from "../../bridge/lake/parquet/parquet-row-files.ts";
import { SettleTables, type SettleTablesOptions } from "../../bridge/lake/settle/settle-tables.ts";
import { openTopicCatalog } from "../../bridge/lake/topic-versions.ts";
import { silentLogger, type TestLake } from "./test-lake.ts";

export interface SettleProcess {
  readonly tables: SettleTables;
  readonly options: SettleTablesOptions;
  /** Landing files, by round: how many were staged. */
  readonly staged: number[];
  /** Moves the monotonic clock. */
  pass(ms: number): void;
}

export interface SettleProcessOptions extends Partial<Omit<SettleTablesOptions, "rowFiles">> {
  /** Called after the files of a table were written. */
  readonly onWritten?: (rows: TableRows) => Promise<unknown>;
  readonly onOpen?: (sources: readonly LandedSource[]) => void;
}

/** A process that settles the tables of the lake, with a commit log of its own. */
export async function openSettleProcess(
  { store }: Pick<TestLake, "store">,
  { onWritten, onOpen, ...given }: SettleProcessOptions = {},
): Promise<SettleProcess> {
  const staged: number[] = [];
  let elapsedMs = 1_000;
  const files = createParquetRowFiles({ store, now: Date.now });
  const rowFiles: RowFiles = {
    open: async (sources) => {
      onOpen?.(sources);
      const round = await files.open(sources);
      staged.push(sources.length);
      return {
        write: async (rows) => {
          const written = await round.write(rows);
          await onWritten?.(rows);
          return written;
        },
        close: () => round.close(),
      };
    },
  };
  const options: SettleTablesOptions = {
    store,
    commitLog: await openCommitLog(store, { create: false }),
    topics: await openTopicCatalog(store),
    rowFiles,
    logger: silentLogger,
    registry: new Registry(),
    now: Date.now,
    elapsedMs: () => elapsedMs,
    ...given,
  };
  const pass = (ms: number) => {
    elapsedMs += ms;
  };
  return { tables: new SettleTables(options), options, staged, pass };
}
