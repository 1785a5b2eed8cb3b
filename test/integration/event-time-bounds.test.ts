import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { statusOf } from "../support/gateway-books.ts";
import { GatewayProcess, runCli } from "../support/gateway-process.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import type { AuditSummary } from "../support/shared-gateways.ts";

const dayMs = 86_400_000;
const hourMs = 3_600_000;

describe("bounds of event times, per topic", { concurrency: false }, () => {
  const root = mkdtempSync(join(tmpdir(), "tidegate-bounds-"));
  let gateway: GatewayProcess;

  before(async () => {
    gateway = await GatewayProcess.start({ environment: { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" } });
  });

  after(async () => {
    await gateway.destroy();
    rmSync(root, { recursive: true, force: true });
  });

  async function cli(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli([...args, "--data", gateway.dataFolder]);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  async function publish(topics: readonly string[], payload: object): Promise<void> {
    const client = await connectClient(gateway.mqttUrl);
    for (const topic of topics) await client.publishAsync(topic, JSON.stringify(payload), { qos: 1 });
    await client.endAsync();
  }

  async function untilRead(messages: number): Promise<void> {
    await gateway.until(`${messages} messages are filed`, async () => {
      const { books, consumer } = await statusOf(gateway);
      return (
        books?.read === messages && consumer?.partitions.every(({ openBytes }) => openBytes === 0) === true
      );
    });
  }

  const sentAtMs = Date.now();
  const monthOldMs = sentAtMs - 30 * dayMs;
  const old = { id: "1", ts: monthOldMs };

  test("a message of 30 days ago is filed under its own hour with --event-past 400d, and flagged without", async () => {
    const flags = ["--filter", "archive/{device}", "--format", "json", "--event-past", "400d"];
    await cli("topics", "create", "archive", ...flags);
    await publish(["archive/d1", "fleet/d1/telemetry"], old);
    await untilRead(2);
    const hourOf = async (table: string) => {
      const [row] = await gateway.query(
        `SELECT event_time_outside AS outside, epoch_ms(event_date) + event_hour * ${hourMs} AS hour, epoch_ms(event_time) AS ts FROM ${table}`,
      );
      assert.equal(Number(row?.["ts"]), monthOldMs);
      return { isOutside: row?.["outside"], atMs: Number(row?.["hour"]) };
    };
    const ownHourMs = Math.floor(monthOldMs / hourMs) * hourMs;
    assert.deepEqual(await hourOf("archive"), { isOutside: false, atMs: ownHourMs });
    const flagged = await hourOf("telemetry");
    assert.equal(flagged.isOutside, true);
    assert.ok(flagged.atMs >= Math.floor(sentAtMs / hourMs) * hourMs, "under the hour of its ingest");
  });

  test("the commands show the bounds, and status the rows beyond them", async () => {
    assert.match(
      await cli("topics", "list"),
      /archive +archive\/\{device\} +json +1 +400d +1h +forever +live/,
    );
    assert.match(await cli("topics", "list"), /telemetry +fleet\S+ +json +1 +7d +1h +forever +live/);
    const shown = await cli("topics", "show", "archive");
    assert.match(shown, /"eventPastMs": 34560000000/);
    assert.match(shown, /"eventAheadMs": 3600000/);
    assert.match(await cli("topics", "show", "telemetry"), /"eventPastMs": 604800000/);
    assert.match(
      await cli("status"),
      /Filed by ingest time since the start, with event_time_outside: telemetry 1 past\n/,
    );
  });

  test("a resend under changed bounds is the same message", async () => {
    await cli("topics", "update", "archive", "--event-past", "1h");
    await cli("topics", "update", "telemetry", "--event-past", "400d");
    await publish(["archive/d1", "fleet/d1/telemetry"], old);
    await untilRead(4);
    const { books } = await statusOf(gateway);
    assert.deepEqual([books?.filed, books?.duplicates, books?.quarantined], [2, 2, 0]);
  });

  test("fleets with late messages and dead clocks, before and after a change of the bounds, are proven by the audit", async () => {
    const ledger = join(root, "ledger");
    const faults = ["--faults", "late=0.2,clock=0.1,poison=0.05,duplicate=0.1"];
    const run = async (seed: string) => {
      const fleet = [
        "--devices",
        "20",
        "--connections",
        "4",
        "--rate",
        "100",
        "--duration",
        "1",
        "--seed",
        seed,
      ];
      const to = ["--ledger", ledger, "--append", "--mqtt", gateway.mqttUrl, "--json"];
      const { code, stderr } = await runCli(["simulate", ...fleet, ...faults, ...to]);
      assert.equal(code, 0, stderr);
    };
    for (const [seed, bounds] of [
      ["1", ["--event-past", "1m", "--event-ahead", "3650d"]],
      ["2", ["--event-past", "400d", "--event-ahead", "1m"]],
    ] as const) {
      await cli("topics", "update", "telemetry", ...bounds);
      await run(seed);
    }
    await gateway.until("all is filed", async () => {
      const { broker, books, consumer } = await statusOf(gateway);
      const isClosed = consumer?.partitions.every(({ openBytes }) => openBytes === 0) === true;
      return isClosed && books?.read === broker?.acknowledged;
    });
    const lake = `file:${join(gateway.dataFolder, "lake")}`;
    const flags = ["--ledger", ledger, "--lake", lake, "--wait", "0", "--settle", "0", "--json"];
    const { code, json, stderr } = await runCli(["audit", ...flags]);
    const { lost, duplicated, phantom, altered, misplaced, examples } = json as AuditSummary & {
      examples: string[];
    };
    assert.deepEqual([lost, duplicated, phantom, altered, misplaced], [0, 0, 0, 0, 0], examples.join("\n"));
    assert.equal(code, 0, stderr);
    const outside = await gateway.query("SELECT count(*) AS n FROM telemetry WHERE event_time_outside");
    assert.ok(Number(outside[0]?.["n"]) > 10);
  });
});
