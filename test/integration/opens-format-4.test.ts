import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DeltaTable } from "../../bridge/lake/delta/delta-table.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { setConstraint } from "../support/foreign-constraint.ts";
import { statusOf } from "../support/gateway-books.ts";
import {
  assertDefaultBounds,
  assertGoesOn,
  assertResendsDropped,
  assertTelemetryDropped,
  assertWhole,
  auditOldData,
  countOf,
  type OldData,
  openOldEmbedded,
  rowsOf,
  unpackOldData,
  untilFiled,
} from "../support/old-data.ts";

const lakeFixture = { version: "format-4", name: "lake" };

function valvesOf({ fixture }: Pick<OldData, "fixture">): { shown: number; held: number } {
  return fixture.facts.valves ?? assert.fail("this fixture has a parked table");
}

/** Rows of the files that the table's own log names. */
async function rowsShown({ fixture }: OldData, table: string): Promise<number> {
  const store = await openLocalStore(join(fixture.folder, "data", "lake"));
  const files = await new DeltaTable(store, table).files();
  return files.reduce((sum, { stats }) => sum + Number(JSON.parse(stats ?? "{}").numRecords), 0);
}

async function parkedTables({ gateway }: OldData): Promise<string[]> {
  const { consumer } = await statusOf(gateway);
  return consumer?.tables.parked.map(({ table }) => table) ?? [];
}

describe("a lake of format 4, whose gateway was killed with unread messages", { concurrency: false }, () => {
  test("the fixture has what a later format must carry over", (t) => {
    const { folder } = unpackOldData(t, "format-4", "lake");
    const lake = join(folder, "data", "lake");
    const commits = readdirSync(join(lake, "_commits"));
    assert.equal(commits.includes("00000000000000000001.json"), false, "its commit log is pruned");
    assert.ok(readdirSync(join(lake, "_commits", "snapshots")).length > 0);
    const log = readdirSync(join(lake, "telemetry", "_delta_log"));
    assert.ok(log.some((name) => name.endsWith(".checkpoint.parquet")));
    const folders = readdirSync(join(lake, "telemetry"), { recursive: true, encoding: "utf8" });
    assert.ok(folders.filter((name) => /event_hour=\d+$/.test(name)).length >= 4, "several event hours");
    assert.ok(existsSync(join(lake, "_quarantine")));
    const versions = readdirSync(join(lake, "_topics"), { recursive: true, encoding: "utf8" });
    assert.ok(
      versions.some((name) => name.endsWith(`/3.json`)),
      "a topic was deleted and created again",
    );
  });

  test("opened, filed whole, its parked table shown once it is mended, resends dropped, audited", async (t) => {
    const opened = await openOldEmbedded(t, lakeFixture);
    const { shown, held } = valvesOf(opened);
    await untilFiled(opened);
    assert.deepEqual(await parkedTables(opened), ["valve"]);
    assert.equal(await rowsShown(opened, "valve"), shown);
    assert.equal(
      await countOf(opened, "valve"),
      shown + held,
      "our query sees rows that the table can't show",
    );
    const { logFaults, lost, duplicated } = await auditOldData(opened);
    assert.deepEqual([lost, duplicated], [0, 0], "other tables are not concerned");
    assert.ok(logFaults > 0, "the audit tells that a table does not show its commits");

    setConstraint(join(opened.fixture.folder, "data", "lake", "valve"), null);
    await opened.gateway.until("the parked table shows its rows", async () => {
      return (await parkedTables(opened)).length === 0 && (await rowsShown(opened, "valve")) === shown + held;
    });
    assert.equal(await countOf(opened, "valve"), shown + held);
    const gauges = await rowsOf(opened, "SELECT level, flow FROM gauge ORDER BY level");
    const expected = Array.from({ length: opened.fixture.facts.gauges ?? 0 }, (_, number) => ({
      level: number,
      flow: number < 4 ? null : number / 4,
    }));
    assert.deepEqual(gauges, expected);
    await assertWhole(opened);
    await assertResendsDropped(opened);
    await assertTelemetryDropped(opened);
    await assertGoesOn(opened);
    await assertDefaultBounds(opened);
    assert.equal(await opened.gateway.stop(), 0);
  });
});
