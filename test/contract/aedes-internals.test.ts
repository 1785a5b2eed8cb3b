import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { test } from "node:test";
import { Aedes } from "aedes";
import { AEDES_VERSION, type AedesClient, checkAedesVersion } from "../../broker/aedes/aedes-client.ts";
import { BrokerError } from "../../broker/index.ts";

/** The acknowledgement path reaches into Aedes; this fails where another version moved what it holds on to. */
test("Aedes has the internals that the acknowledgement path is built on", async () => {
  const aedes = await Aedes.createBroker();
  checkAedesVersion(aedes);
  const [, serverSide] = duplexPair();
  const client = aedes.handle(serverSide as never) as unknown as AedesClient;
  assert.equal(client._parser.listeners("packet").length, 1);
  assert.equal(typeof client._parser.parse, "function");
  assert.equal(client._parser.packet.length, -1);
  assert.equal(client._parsingBatch, 1);
  assert.equal(client._keepaliveTimer, null);
  assert.equal(client._keepaliveInterval, -1);
  client.pause();
  assert.equal(client._paused, true);
  client.resume();
  assert.equal(client._paused, false);
  client.close();
  await new Promise<void>((resolve) => aedes.close(resolve));
});

test("another version is refused with AEDES_UNSUPPORTED", () => {
  assert.throws(
    () => checkAedesVersion({ version: "2.0.0" }),
    (error) =>
      error instanceof BrokerError &&
      error.code === "AEDES_UNSUPPORTED" &&
      error.message.includes(AEDES_VERSION),
  );
});
