import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { BackgroundCommand } from "../support/background-command.ts";
import { assertAdditions, documentedCopy } from "../support/documented-kind.ts";
import { freePort } from "../support/free-port.ts";
import { connectClient } from "../support/mqtt-publisher.ts";

const page = join("docs", "extending", "decoder.md");
const registry = "bridge/decoders/decoders.ts";

/** The additions of the page, in a copy of the sources that is built like the product. */
describe("a decoder that is added as docs/extending/decoder.md shows", { concurrency: false }, () => {
  const { sources, folder, run } = documentedCopy(page);

  test("the addition is a folder, its test and one line of the registry, and the page lists them all", () => {
    assertAdditions(sources, registry, /^(bridge\/decoders\/csv\/|test\/contract\/csv-)/);
  });

  test("the addition builds, follows the rules of the sources, and fulfils the contract", async () => {
    await run(join("test", "support", "build.mjs"));
    const tests = ["test/tidy.test.ts", "test/contract/csv-decoder.test.ts"];
    const told = await run("--import", "tsx", "--test", "--test-reporter", "tap", ...tests);
    assert.match(told, /the decoder of csv/);
    const help = await run(join("dist", "gateway", "main.js"), "topics", "create", "--help");
    assert.match(help, /--format <format>\s+envelope, json, raw or csv/);
  });

  test("a gateway with the decoder files typed values, recognises duplicates, and fills the quarantine", async (context) => {
    const [mqttPort, httpPort] = [await freePort(), await freePort()];
    const program = join("dist", "gateway", "main.js");
    const place = ["--data", "data"];
    const command = `node ${program} up ${place.join(" ")} --mqtt 127.0.0.1:${mqttPort} --http 127.0.0.1:${httpPort}`;
    const gateway = new BackgroundCommand(command, folder, { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" });
    context.after(() => gateway.destroy());
    await gateway.until(
      "the gateway is ready",
      async () => (await fetch(`http://127.0.0.1:${httpPort}/readyz`)).ok,
    );
    const schema = {
      type: "object",
      properties: { rpm: { type: "integer" }, note: { type: "string" }, hot: { type: "boolean" } },
    };
    writeFileSync(join(folder, "engine.json"), JSON.stringify(schema));
    const definition = ["--filter", "plant/{device}/engine", "--format", "csv", "--schema", "engine.json"];
    await run(program, "topics", "create", "engines", ...definition, ...place);
    const client = await connectClient(`mqtt://127.0.0.1:${mqttPort}`);
    const now = Date.now();
    for (const line of [`a,${now},900,7,true`, `b,${now},,cold`, `a,${now},900,7,true`, `c,${now},many`, "?"])
      await client.publishAsync("plant/press-7/engine", line, { qos: 1 });
    await client.endAsync();

    const query = (sql: string) => run(program, "query", ...place, sql, "--format", "csv");
    const rows = "SELECT decode(message_id) AS id, rpm, note, hot FROM engines ORDER BY id";
    await gateway.until("the rows are filed", async () => {
      const found = await query(rows);
      return /^a,900,7,true$/m.test(found) && /^b,,cold,$/m.test(found);
    });
    const reasons = "SELECT reason, count(*) AS n FROM _quarantine GROUP BY reason ORDER BY reason";
    await gateway.until("the other messages are in quarantine", async () => {
      const found = await query(reasons);
      return /^event-time-unreadable,1$/m.test(found) && /^schema-violated,1$/m.test(found);
    });
    assert.match(await query("SELECT count(*) AS n FROM engines"), /^2$/m);
    assert.equal(await gateway.stop(), 0);
  });
});
