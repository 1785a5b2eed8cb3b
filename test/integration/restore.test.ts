import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { lakeFormat } from "../../bridge/lake/commit-log/commit-log.ts";
import { openEmbeddedStream } from "../../bridge/streams/embedded/embedded-stream.ts";
import {
  publishAll,
  statusOf,
  storedIds,
  untilFiledAndTrimmed,
  untilRefused,
} from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli, runCommand } from "../support/gateway-process.ts";
import { connectClient } from "../support/mqtt-publisher.ts";
import { isMarked } from "../support/stream-marked.ts";

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };
const fromD1 = (...ids: string[]) => ids.map((id) => ({ device: "d1", id }));

describe("restoring parts of a data folder", { concurrency: false }, () => {
  let root: string;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), "tidegate-restore-"));
    const gateway = await GatewayProcess.start({ dataFolder: join(root, "now"), environment });
    await publishAll(gateway, fromD1("a"));
    await untilFiledAndTrimmed(gateway);
    assert.equal(await gateway.stop(), 0);
    for (const part of ["lake", "stream", "registry"])
      cpSync(join(root, "now", part), join(root, "older", part), { recursive: true });
    await gateway.start();
    await publishAll(gateway, fromD1("b"));
    await untilFiledAndTrimmed(gateway);
    assert.equal(await gateway.stop(), 0);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** A data folder with parts from different times. */
  function composed(name: string, parts: Readonly<Record<string, "now" | "older">>): string {
    const folder = join(root, name);
    for (const [part, moment] of Object.entries(parts))
      cpSync(join(root, moment, part), join(folder, part), { recursive: true });
    return folder;
  }

  const registry = "now";
  const cases = [
    {
      name: "the lake alone",
      parts: { lake: "now" },
      says: /the stream's folder is gone/,
      stored: ["a", "b", "c"],
    },
    {
      name: "the stream alone",
      parts: { stream: "now", registry },
      says: /trimmed up to \d+ in partition \d, but the lake has it only up to ""/,
      stored: ["b", "c"],
    },
    {
      name: "an older copy of the lake",
      parts: { lake: "older", stream: "now", registry },
      says: /trimmed up to \d+ in partition \d, but the lake has it only up to "\d+"/,
      stored: ["a", "b", "c"],
    },
    {
      name: "an older copy of the stream",
      parts: { lake: "now", stream: "older", registry },
      says: /the lake has committed partition \d up to \d+, but the stream ends at "\d+"/,
      stored: ["a", "b", "c"],
    },
  ] as const;

  for (const { name, parts, says, stored } of cases) {
    test(`${name}: refused until an operator starts a new stream; messages in the lake are not filed again`, async (t) => {
      const dataFolder = composed(name, parts);
      const gateway = await GatewayProcess.start({ dataFolder, environment, waitUntilReady: false });
      t.after(() => gateway.destroy());
      const refusal = await untilRefused(gateway);
      assert.match(refusal, /^broker: STREAM_GAP: /);
      assert.match(refusal, says);
      assert.match(refusal, /`tidegate stream new --data /);
      await assert.rejects(connectClient(gateway.mqttUrl), /ECONNREFUSED/);
      await gateway.stop();

      const renewed = await runCommand(["stream", "new", "--data", dataFolder, "--json"]);
      assert.equal(renewed.code, 0, renewed.stderr);
      assert.equal(
        (renewed.json as { unread: unknown }).unread,
        null,
        "the number of lost messages is unknown",
      );
      await gateway.start();
      await gateway.waitUntilReady();
      const { stdout } = await runCommand(["status", "--data", dataFolder]);
      assert.match(stdout, /! Given up at .*: an unknown number of messages/);
      await publishAll(gateway, fromD1("b", "c"));
      await untilFiledAndTrimmed(gateway);
      const { isReady, consumer, books } = await statusOf(gateway);
      assert.equal(isReady, true);
      assert.equal(consumer?.streamId, (renewed.json as { streamId: string }).streamId);
      assert.equal(books?.isBalanced, true);
      assert.equal(books?.read, 2);
      assert.deepEqual(await storedIds(gateway), stored);
      assert.equal(await gateway.stop(), 0);
    });
  }

  test("an older copy of the lake with a stream that still holds the rest: the rest is filed again, once", async (t) => {
    const dataFolder = composed("repaired", { lake: "older", stream: "older", registry });
    const gateway = await GatewayProcess.start({ dataFolder, environment });
    t.after(() => gateway.destroy());
    // The broker trims: without a broker, blocks that the drain files stay in the stream.
    process.kill(gateway.childPid("consumer") ?? assert.fail("a consumer runs"), "SIGSTOP");
    await publishAll(gateway, fromD1("b", "c"));
    gateway.signal("SIGTERM");
    await gateway.until("the broker has ended", () => gateway.childPid("broker") === null);
    process.kill(gateway.childPid("consumer") ?? assert.fail("a consumer runs"), "SIGCONT");
    assert.equal(await gateway.exited(), 0);
    assert.deepEqual(await storedIds(gateway), ["a", "b", "c"]);

    rmSync(join(dataFolder, "lake"), { recursive: true });
    cpSync(join(root, "older", "lake"), join(dataFolder, "lake"), { recursive: true });
    assert.deepEqual(await storedIds(gateway), ["a"]);
    await gateway.start();
    await publishAll(gateway, fromD1("a", "c", "d"));
    await untilFiledAndTrimmed(gateway);
    assert.deepEqual(await storedIds(gateway), ["a", "b", "c", "d"]);
    assert.equal((await statusOf(gateway)).books?.isBalanced, true);
  });

  test("an older copy of the stream with all committed messages, but without some acknowledged ones: refused", async (t) => {
    const dataFolder = join(root, "unmarked");
    const slow = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "600000" };
    const gateway = await GatewayProcess.start({ dataFolder, environment: slow });
    t.after(() => gateway.destroy());
    const stream = join(dataFolder, "stream");
    const killed = async () => {
      const pids = [gateway.pid, gateway.childPid("broker"), gateway.childPid("consumer")];
      for (const pid of pids) process.kill(pid ?? assert.fail("it runs"), "SIGKILL");
      await gateway.exited();
    };
    await publishAll(gateway, fromD1("a"));
    await killed();
    cpSync(stream, join(root, "older copy"), { recursive: true });
    await gateway.start();
    await publishAll(gateway, fromD1("b"));
    const now = await openEmbeddedStream({ mode: "read", folder: stream });
    await gateway.until("the stream was marked", () => isMarked(dataFolder, now));
    await now.close();
    await killed();
    rmSync(stream, { recursive: true });
    cpSync(join(root, "older copy"), stream, { recursive: true });

    const restored = await GatewayProcess.start({ dataFolder, environment, waitUntilReady: false });
    t.after(() => restored.destroy());
    assert.match(
      await untilRefused(restored),
      /STREAM_GAP: .*it was restored from an older copy.*`tidegate stream new/,
    );
    assert.notEqual((await statusOf(restored)).books?.isBalanced, true);
    await restored.stop();
    const renewed = await runCommand(["stream", "new", "--data", dataFolder, "--json"]);
    assert.equal(renewed.code, 0, renewed.stderr);
    assert.equal(
      (renewed.json as { unread: unknown }).unread,
      null,
      "the number of lost messages is unknown",
    );
    await restored.start();
    await restored.waitUntilReady();
  });

  for (const { what, file } of [
    { what: "lake", file: "lake.json" },
    { what: "commit", file: "00000000000000000002.json" },
  ]) {
    test(`a ${what} of a newer version is refused by name, and nothing is written`, async () => {
      const dataFolder = composed(`newer ${what}`, { lake: "now", stream: "now", registry });
      const path = join(dataFolder, "lake", "_commits", file);
      const content = readFileSync(path, "utf8");
      assert.match(content, new RegExp(`"format":${lakeFormat}\\b`));
      writeFileSync(path, content.replace(`"format":${lakeFormat}`, `"format":${lakeFormat + 1}`));
      const before = readdirSync(dataFolder, { recursive: true, encoding: "utf8" }).filter(isOfLake);
      for (const command of [
        ["up", ...freePorts],
        ["stream", "new"],
      ]) {
        const refused = await runCli([...command, "--data", dataFolder, "--json"]);
        const error = errorOf(refused);
        assert.equal(refused.code, 1, refused.stderr);
        assert.match(`${error.code} ${error.message}`, /LAKE_VERSION/);
        const said = `has format ${lakeFormat + 1}, this Tidegate reads up to ${lakeFormat}: install a newer version`;
        assert.ok(refused.stderr.includes(said), refused.stderr);
      }
      assert.deepEqual(
        readdirSync(dataFolder, { recursive: true, encoding: "utf8" }).filter(isOfLake),
        before,
      );
    });
  }
});

/** Each process that opens a lake creates and removes a staging folder. */
function isOfLake(path: string): boolean {
  return path.startsWith("lake/") && !path.startsWith("lake/_staging");
}
