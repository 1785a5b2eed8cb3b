import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ConditionalPut } from "../../../../../simulator/prove/fault-proxies/conditional-put.ts";
import type { HttpAnswer, HttpRequest } from "../../../../../simulator/prove/fault-proxies/http-fault.ts";

const none = Buffer.alloc(0);

function call(method: string, operation: string, path: string, headers = {}): HttpRequest {
  return { method, operation, path, headers: { host: "h", ...headers }, body: none };
}

const conditional = (path: string) => call("PUT", "PutObject", path, { "if-none-match": "*" });
const get = (path: string) => call("GET", "GetObject", path);

/** A server whose writes end when they are told to; it knows no conditions. */
function slowServer() {
  const objects = new Set<string>();
  const asked: string[] = [];
  const writes: Array<() => void> = [];
  const ask = async ({ method, path, headers }: HttpRequest): Promise<HttpAnswer> => {
    asked.push(`${method} ${path}`);
    assert.equal(headers["if-none-match"], undefined);
    if (method === "PUT") {
      await new Promise<void>((resolve) => writes.push(resolve));
      objects.add(path);
    }
    return { status: objects.has(path) ? 200 : 404, headers: {}, body: none };
  };
  return { asked, writes, ask };
}

test("a rival and a reader of a key wait for its conditional put; other keys do not", async () => {
  const { asked, writes, ask } = slowServer();
  const puts = new ConditionalPut();
  const first = puts.answer(conditional("/b/k"), ask);
  const second = puts.answer(conditional("/b/k"), ask);
  assert.ok(puts.concerns(get("/b/k?x-id=GetObject")));
  const read = puts.answer(get("/b/k"), ask);
  assert.ok(!puts.concerns(get("/b/other")));
  assert.equal((await puts.answer(get("/b/other"), ask)).status, 404);
  await turn();
  assert.deepEqual(asked.toSorted(), ["GET /b/other", "HEAD /b/k", "PUT /b/k"]);
  writes[0]?.();
  assert.equal((await first).status, 200);
  assert.equal((await second).status, 412);
  assert.equal((await read).status, 200);
  assert.equal(writes.length, 1);
  assert.ok(!puts.concerns(get("/b/k")));
});

test("a put that fails lets the next one try", async () => {
  const puts = new ConditionalPut();
  const away = puts.answer(conditional("/b/k"), async () => Promise.reject(new Error("away")));
  const { writes, ask } = slowServer();
  const next = puts.answer(conditional("/b/k"), ask);
  await assert.rejects(away, /away/);
  while (writes.length === 0) await turn();
  writes[0]?.();
  assert.equal((await next).status, 200);
});

test("a server that can't say whether the object is there is not asked to write it", async () => {
  const asked: string[] = [];
  const answer = await new ConditionalPut().answer(conditional("/b/k"), async ({ method }) => {
    asked.push(method);
    return { status: 503, headers: {}, body: none };
  });
  assert.equal(answer.status, 500);
  assert.deepEqual(asked, ["HEAD"]);
});
