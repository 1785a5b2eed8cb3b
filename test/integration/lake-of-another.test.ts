import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { publishAll, statusOf, storedIds } from "../support/gateway-books.ts";
import { errorOf, freePorts, GatewayProcess, runCli, runCommand } from "../support/gateway-process.ts";

const environment = { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" };

describe("a lake that belongs to a gateway on another data folder", { concurrency: false }, () => {
  let root: string;
  let original: GatewayProcess;
  const lakeOf = ({ dataFolder }: GatewayProcess) => `file:${join(dataFolder, "lake")}`;
  before(async () => {
    root = mkdtempSync(join(tmpdir(), "tidegate-lake-of-another-"));
    original = await GatewayProcess.start({ dataFolder: join(root, "a"), environment });
    await publishAll(original, [{ device: "d1", id: "1" }]);
    await original.until(
      "the message is filed",
      async () => ((await statusOf(original)).books?.filed ?? 0) === 1,
    );
  });
  after(async () => {
    await original.destroy();
    rmSync(root, { recursive: true, force: true });
  });

  test("a second gateway reports the owner of the lake, and changes nothing there", async () => {
    const definitions = () => readdirSync(join(original.dataFolder, "lake", "_topics")).toSorted();
    const known = definitions();
    const other = ["--data", join(root, "b"), "--lake", lakeOf(original)];
    const refused = await runCli(["up", ...other, ...freePorts, "--json"]);
    const { code, message } = errorOf(refused);
    assert.deepEqual([refused.code, code], [1, "LAKE_OF_ANOTHER"], refused.stderr);
    assert.match(
      message,
      new RegExp(`in use by the gateway on ${original.dataFolder} \\(process ${original.pid}\\)`),
    );
    assert.match(message, /a lake of its own with --lake/);
    assert.doesNotMatch(message, /is gone/);
    assert.deepEqual(definitions(), known);
    const { isReady } = await statusOf(original);
    assert.equal(isReady, true);
  });

  test("`query` on this lake writes nothing there", async () => {
    const lake = join(original.dataFolder, "lake");
    assert.equal(await original.stop(), 0);
    const tree = () =>
      ["", ...readdirSync(lake, { recursive: true, encoding: "utf8" })]
        .map((path) => `${path} ${statSync(join(lake, path)).mtimeMs}`)
        .toSorted();
    const earlier = tree();
    const asked = ["--data", join(root, "nowhere"), "--lake", lakeOf(original), "--json"];
    const counted = await runCommand(["query", "SELECT count(*)::INTEGER AS rows FROM telemetry", ...asked]);
    assert.deepEqual(counted.json, { columns: ["rows"], rows: [{ rows: 1 }] }, counted.stderr);
    assert.deepEqual(tree(), earlier);
  });

  test("if that data folder is lost, the command in the error starts a new stream for the lake", async () => {
    const dataFolder = join(root, "c");
    const flags = ["--lake", lakeOf(original)];
    const refused = await runCli(["up", "--data", dataFolder, ...flags, ...freePorts, "--json"]);
    const { message } = errorOf(refused);
    assert.doesNotMatch(message, /in use/);
    const [, command = ""] = /`tidegate (stream new[^`]*)`/.exec(message) ?? [];
    const renewed = await runCommand(command.split(" "));
    assert.equal(renewed.code, 0, renewed.stderr);
    const successor = await GatewayProcess.start({ dataFolder, flags, environment });
    try {
      await publishAll(successor, [
        { device: "d1", id: "1" },
        { device: "d1", id: "2" },
      ]);
      await successor.until(
        "the message is filed",
        async () => ((await statusOf(successor)).books?.read ?? 0) === 2,
      );
      assert.deepEqual(await storedIds(original), ["1", "2"], "messages of the lake that was taken over");
    } finally {
      await successor.destroy();
    }
  });
});
