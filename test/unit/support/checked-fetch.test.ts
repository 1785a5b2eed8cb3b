import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { checkAnswersOf } from "../../support/checked-fetch.ts";

test("an answer that the API's description does not know rejects the request, of other servers none does", async (t) => {
  const answer = (body: string) =>
    createServer((_request, response) => {
      response.writeHead(200, { "content-type": "application/json" }).end(body);
    }).listen(0, "127.0.0.1");
  const servers = [answer('{"status":"ok"}'), answer('{"status":"ok","more":1}'), answer('{"more":1}')];
  t.after(() => servers.map((server) => server.close()));
  await Promise.all(servers.map((server) => once(server, "listening")));
  const [right = "", wrong = "", other = ""] = servers.map(
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/livez`,
  );
  const faults: string[] = [];
  for (const url of [right, wrong]) checkAnswersOf(url, (fault) => void faults.push(fault));
  assert.deepEqual(await (await fetch(right)).json(), { status: "ok" });
  await assert.rejects(fetch(wrong), /GET \/livez → 200: .*additional properties/);
  assert.equal((await fetch(other)).status, 200);
  assert.equal(faults.length, 1);
});
