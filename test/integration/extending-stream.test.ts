import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { BackgroundCommand } from "../support/background-command.ts";
import { assertAdditions, documentedCopy } from "../support/documented-kind.ts";
import { freePort } from "../support/free-port.ts";
import { connectClient, publishDemo } from "../support/mqtt-publisher.ts";

const page = join("docs", "extending", "stream.md");
const registry = "gateway/streams/stream-kinds.ts";

/** The additions of the page, in a copy of the sources that is built like the product. */
describe("a kind of stream that is added as docs/extending/stream.md shows", { concurrency: false }, () => {
  const { sources, folder, run } = documentedCopy(page);

  test("the addition is a folder, its tests and one line of the registry, and the page lists them all", () => {
    assertAdditions(sources, registry, /^((bridge|gateway)\/streams\/spool\/|test\/contract\/spool-)/);
  });

  test("the addition builds, follows the rules of the sources, and fulfils the contract", async () => {
    await run(join("test", "support", "build.mjs"));
    const tests = [
      "test/tidy.test.ts",
      "test/unit/gateway/kind-names.test.ts",
      "test/contract/spool-stream-log.test.ts",
    ];
    const told = await run("--import", "tsx", "--test", "--test-reporter", "tap", ...tests);
    assert.match(told, /spool: a read of an empty partition returns no entries/);
  });

  test("a gateway runs on the stream: messages are filed and in the status, even after a restart", async (context) => {
    const [mqttPort, httpPort] = [await freePort(), await freePort()];
    const program = join("dist", "gateway", "main.js");
    const place = ["--data", "data"];
    const command = `node ${program} up ${place.join(" ")} --stream spool:blocks --mqtt 127.0.0.1:${mqttPort} --http 127.0.0.1:${httpPort}`;
    const url = `http://127.0.0.1:${httpPort}`;
    const start = async (): Promise<BackgroundCommand> => {
      const gateway = new BackgroundCommand(command, folder, { TIDEGATE_CONSUMER_MAX_BATCH_AGE_MS: "200" });
      context.after(() => gateway.destroy());
      await gateway.until("the gateway is ready", async () => (await fetch(`${url}/readyz`)).ok);
      return gateway;
    };
    const publish = async (...ids: string[]): Promise<void> => {
      const client = await connectClient(`mqtt://127.0.0.1:${mqttPort}`);
      await publishDemo(
        client,
        ids.map((id) => ({ device: "d1", id })),
      );
      await client.endAsync();
    };
    const filed = async (): Promise<string> =>
      await run(program, "query", ...place, "SELECT count(*) AS filed FROM telemetry", "--format", "csv");

    const first = await start();
    await publish("a", "b", "a");
    await first.until("the message is filed", async () => /^2$/m.test(await filed()));
    assert.ok(existsSync(join(folder, "blocks", "stream.json")));
    assert.match(await run(program, "status", ...place), /Stream: spool:blocks, in the folder \/.*blocks\n/);
    const { broker } = await answerOf(`${url}/v1/status`, join(folder, "data", "api-token"));
    assert.deepEqual(broker, {
      ...broker,
      spool: { path: join(folder, "blocks") },
      space: null,
      redis: null,
    });
    const description = await (await fetch(`${url}/openapi.json`)).text();
    assert.match(description, /null = the stream is not in a folder/);
    assert.equal(await first.stop(), 0);

    const second = await start();
    await publish("b", "c");
    await second.until("the messages are filed", async () => /^3$/m.test(await filed()));
    assert.equal(await second.stop(), 0);
  });
});

async function answerOf(url: string, tokenFile: string): Promise<{ broker: Record<string, unknown> }> {
  const token = readFileSync(tokenFile, "utf8").trim();
  const answer = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await answer.json()) as { broker: Record<string, unknown> };
}
