import { BridgeError } from "../../bridge/errors.ts";
import type { LandedLane } from "../../bridge/lake/commit-log/lane-commits.ts";
import type { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { transactionId } from "../../bridge/lake/delta/lane-transactions.ts";
import { entryActions, type LaneTransaction } from "../../bridge/lake/delta/table-entry.ts";
import { createVersion } from "../../bridge/lake/delta/table-transaction.ts";
import { laneOf } from "../../bridge/lake/landing/lane.ts";
import type { RowRound } from "../../bridge/lake/landing/row-files.ts";
import {
  type settleTable as SettleTable,
  settleTable,
  type TableToSettle,
} from "../../bridge/lake/settle/settle-table.ts";
import type { ObjectStore } from "../../bridge/lake/stores/object-store.ts";
import type { LandedRow } from "../support/json-landing.ts";
import { withStore } from "../support/with-store.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { World } from "./world.ts";

type Settle = typeof SettleTable;

function transactionsOf(lakeId: string, { rows, direct }: TableToSettle): LaneTransaction[] {
  const ranges = [...rows.ranges, ...(direct ? [{ lane: "direct" as const, upTo: direct.upTo }] : [])];
  return ranges.map(({ lane, upTo }) => ({ appId: transactionId(lakeId, lane), upTo }));
}

/** Goes on after a lost race, whatever the winner settled. */
const goingOn: Settle = async ({ lakeId, now }, table, given, round) => {
  await table.refresh();
  const files = [...(given.direct?.files ?? []), ...(await round.write(given.rows))];
  const entry = { columns: given.columns, transactions: transactionsOf(lakeId, given), files };
  await createVersion(table, (state) => entryActions(table.name, state, { ...entry, nowMs: now() }));
  return "settled";
};

/** Moves the transactions of all tables of a round, although the rows of one did not get into it. */
const movingAll: Settle = async (ports, table, given, round) => {
  const outcome = await settleTable(ports, table, given, round).catch((error: unknown) => {
    if (error instanceof BridgeError && error.code === "TABLE_CONFLICT") return "parked" as const;
    throw error;
  });
  if (outcome === "settled" || (await isMissing(table))) return "settled";
  await createVersion(table, () =>
    transactionsOf(ports.lakeId, given).map(({ appId, upTo }) => ({ txn: { appId, version: upTo } })),
  );
  return "settled";
};

async function isMissing(table: DeltaTable): Promise<boolean> {
  return (await table.refresh()).version < 0;
}

/** Takes an unknown outcome for a failure, and deletes the files that it wrote. */
function deletingOnFailure({ store }: World): Settle {
  return async (ports, table, given, round) => {
    const written: string[] = [];
    const watched: RowRound = {
      write: async (rows) => {
        const adds = await round.write(rows);
        written.push(...adds.map(({ path }) => `${table.name}/${path}`));
        return adds;
      },
      close: () => round.close(),
    };
    try {
      return await settleTable(ports, table, given, watched);
    } catch (error) {
      for (const path of written) await store.delete(path);
      throw error;
    }
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
    options: { landing: true, settleSteps: () => ({ settleTable: goingOn }) },
  },
  {
    name: "lanes of landed rows by the clock of the process that settles them",
    breaks: ["live-twice", "live-nowhere"],
    options: { landing: true, breakSettlerStore: decidingLanes },
  },
  {
    name: "a round that moves the transactions of all its tables, although one was refused",
    breaks: ["live-nowhere"],
    options: { landing: true, settleSteps: () => ({ settleTable: movingAll }) },
  },
  {
    name: "a round that claims commits which it has not read",
    breaks: ["live-nowhere"],
    options: { landing: true, settleSteps: () => ({ claim: async (log) => (await log.load()).number }) },
  },
  {
    name: "a round that takes an unknown outcome for a failure and deletes its files",
    breaks: ["missing"],
    options: {
      landing: true,
      lostAnswers: 0.03,
      settleSteps: (world) => ({ settleTable: deletingOnFailure(world) }),
    },
  },
];
