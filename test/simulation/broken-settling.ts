import type { LakeState } from "../../bridge/lake/commit-log/commit-log.ts";
import { type LandedLane, lanes, noCommits } from "../../bridge/lake/commit-log/lane-commits.ts";
import { transactionId } from "../../bridge/lake/delta/lane-transactions.ts";
import { createVersion } from "../../bridge/lake/delta/table-transaction.ts";
import { UnsettledCommits } from "../../bridge/lake/delta/unsettled-commits.ts";
import { laneOf } from "../../bridge/lake/landing/lane.ts";
import type { RowFiles } from "../../bridge/lake/landing/row-files.ts";
import { SettleTables, type SettleTablesOptions } from "../../bridge/lake/settle/settle-tables.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { LandedRow } from "../support/json-landing.ts";
import { withStore } from "../support/with-store.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { World } from "./world.ts";

/** A settler that goes on after a lost race without comparing what the winner settled. */
function blindToWinners(store: ObjectStore): ObjectStore {
  const lost = new Set<string>();
  return withStore(store, {
    putIfAbsent: async (path, bytes) => {
      const outcome = await store.putIfAbsent(path, bytes);
      if (outcome === "exists" && path.includes("/_delta_log/")) lost.add(path);
      return outcome;
    },
    get: async (path) => {
      const bytes = await store.get(path);
      return bytes && lost.has(path) ? withoutTransactions(bytes) : bytes;
    },
  });
}

function withoutTransactions(bytes: Uint8Array): Uint8Array {
  const lines = Buffer.from(bytes).toString().split("\n");
  return Buffer.from(lines.filter((line) => !line.startsWith('{"txn"')).join("\n"));
}

/** Moves the transactions of a table of a round, although its rows were refused. */
class MovingAll extends SettleTables {
  override async failed(...given: Parameters<SettleTables["failed"]>): Promise<"parked" | "failed"> {
    const outcome = await super.failed(...given);
    const [{ name }] = given;
    const { lakeId } = this.options.commitLog;
    const version = this.unsettled.newest;
    const moved = lanes.map((lane) => ({ txn: { appId: transactionId(lakeId, lane), version } }));
    if (outcome === "parked")
      await createVersion<"absent">(this.named(name), (state) => (state.version < 0 ? "absent" : moved));
    return outcome;
  }
}

/** Reads the log up to where it ended at the look before. */
class ReadingBehind extends UnsettledCommits {
  #heard = 0;

  override async readTo(commit: number): Promise<void> {
    const upTo = Math.min(commit, this.#heard);
    this.#heard = commit;
    if (upTo > 0) await super.readTo(upTo);
  }
}

/** Claims commits that it has not read. */
class ClaimingUnread extends SettleTables {
  override readonly unsettled = new ReadingBehind(this.options.store, this.entries);
}

/** Knows of tables only what their own logs say. */
function withoutBounds(options: SettleTablesOptions): SettleTables {
  const { commitLog } = options;
  const unbound = (lake: LakeState): LakeState => {
    const tables = [...lake.tables].map(([key, table]) => [key, { ...table, settled: noCommits }] as const);
    return { ...lake, tables: new Map(tables) };
  };
  const log = {
    lakeId: commitLog.lakeId,
    load: async () => unbound(await commitLog.load()),
    reload: async () => unbound(await commitLog.reload()),
    entry: (number: number) => commitLog.entry(number),
    onCommit: (listener: (newest: number) => void) => commitLog.onCommit(listener),
  };
  return new SettleTables({ ...options, commitLog: log });
}

/** Takes an unknown outcome for a failure, and deletes the files that it wrote. */
class DeletingOnFailure extends SettleTables {
  readonly #written: Map<string, string[]>;

  constructor(options: SettleTablesOptions) {
    const written = new Map<string, string[]>();
    super({ ...options, rowFiles: noting(options.rowFiles, written) });
    this.#written = written;
  }

  override async failed(...given: Parameters<SettleTables["failed"]>): Promise<"parked" | "failed"> {
    const [{ name }] = given;
    for (const path of this.#written.get(name) ?? []) await this.options.store.delete(path);
    return super.failed(...given);
  }
}

/** By table name: the files of the last round. */
function noting(rowFiles: RowFiles, written: Map<string, string[]>): RowFiles {
  return {
    open: async (sources) => {
      written.clear();
      const round = await rowFiles.open(sources);
      return {
        write: async (rows) => {
          const adds = await round.write(rows);
          written.set(
            rows.name,
            adds.map(({ path }) => `${rows.name}/${path}`),
          );
          return adds;
        },
        close: () => round.close(),
      };
    },
  };
}

/** A settler that decides the lanes of rows by its own clock. */
function decidingLanes(store: ObjectStore, { clock }: World): ObjectStore {
  const laneNow = (row: LandedRow): LandedLane => laneOf({ ...row, ingestTimeMs: clock.nowMs });
  return withStore(store, {
    get: async (path) => {
      const bytes = await store.get(path);
      if (bytes === null || !path.startsWith("_landing/")) return bytes;
      const rows = JSON.parse(Buffer.from(bytes).toString()) as LandedRow[];
      return Buffer.from(JSON.stringify(rows.map((row) => ({ ...row, lane: laneNow(row) }))));
    },
  });
}

/** Variants of settling. */
export const brokenSettling: readonly BrokenVariant[] = [
  {
    name: "a round that goes on after a lost race, whatever the winner settled",
    breaks: ["live-twice"],
    options: { landing: true, breakSettlerStore: blindToWinners },
  },
  {
    name: "lanes of landed rows by the clock of the process that settles them",
    breaks: ["live-twice", "live-nowhere"],
    options: { landing: true, breakSettlerStore: decidingLanes },
  },
  {
    name: "a round that moves the transactions of all its tables, although one was refused",
    breaks: ["live-nowhere"],
    options: { landing: true, openTables: (options) => new MovingAll(options) },
  },
  {
    name: "a round that claims commits which it has not read",
    breaks: ["live-nowhere"],
    options: { landing: true, openTables: (options) => new ClaimingUnread(options) },
  },
  {
    name: "a round without the log's bounds, though another writer dropped transactions",
    breaks: ["live-twice"],
    options: {
      landing: true,
      drops: true,
      interference: 0.1,
      periods: { entriesPerSnapshot: 2, commitRetentionMs: 0 },
      openTables: withoutBounds,
    },
  },
  {
    name: "a round that takes an unknown outcome for a failure and deletes its files",
    breaks: ["missing"],
    options: { landing: true, lostAnswers: 0.03, openTables: (options) => new DeletingOnFailure(options) },
  },
];
