import assert from "node:assert/strict";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, test } from "node:test";
import { cutAnswer, slow, slowAnswer } from "../../../../../simulator/prove/fault-proxies/http-fault.ts";
import { HttpFaultProxy } from "../../../../../simulator/prove/fault-proxies/http-fault-proxy.ts";
import { readBody } from "../../../../../simulator/prove/fault-proxies/http-forward.ts";
import { until } from "../../../../support/until.ts";

class PlainProxy extends HttpFaultProxy {
  protected override operationOf({ method }: IncomingMessage): string {
    return method ?? "";
  }
}

const open: Array<{ proxy: PlainProxy; server: Server }> = [];
afterEach(async () => {
  for (const { proxy, server } of open.splice(0)) {
    await proxy.close();
    server.closeAllConnections();
    server.close();
  }
});

async function proxyTo(answer: RequestListener): Promise<PlainProxy> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  const proxy = new PlainProxy({ targetPort: (server.address() as AddressInfo).port });
  await proxy.up();
  open.push({ proxy, server });
  return proxy;
}

/** Answers with what it heard. */
async function mirror(asked: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await readBody(asked);
  const { method, url, headers } = asked;
  response.writeHead(201, { "x-mirror": "yes" });
  response.end(JSON.stringify({ method, url, headers, body: body.toString() }));
}

interface Heard {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

async function ask(
  proxy: PlainProxy,
  method: string,
  headers: Record<string, string> = {},
  body: readonly (string | Buffer)[] = [],
): Promise<Heard> {
  const asked = request({
    port: proxy.port,
    host: "127.0.0.1",
    path: "/a%2Fb?q=%20",
    method,
    headers,
    agent: false,
  });
  asked.on("error", () => {});
  for (const part of body) asked.write(part);
  asked.end();
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    body: (await readBody(answer)).toString(),
  };
}

for (const isStruck of [false, true]) {
  const how = isStruck ? "kept and handed on" : "streamed";

  test(`a call that is ${how} arrives as it was sent, and so does its answer`, async () => {
    const proxy = await proxyTo(mirror);
    if (isStruck) proxy.inject(slow(1));
    const signed = { host: "bucket.example:9000", authorization: "AWS4 x", "x-amz-date": "d" };
    const { status, headers, body } = await ask(proxy, "PUT", signed, ["one", "two"]);
    const heard = JSON.parse(body);
    assert.equal(status, 201);
    assert.equal(headers["x-mirror"], "yes");
    assert.deepEqual([heard.method, heard.url, heard.body], ["PUT", "/a%2Fb?q=%20", "onetwo"]);
    for (const [name, value] of Object.entries(signed)) assert.equal(heard.headers[name], value);
  });

  test(`an answer to HEAD that is ${how} keeps its length`, async () => {
    const proxy = await proxyTo((_asked, response) => response.writeHead(200, { "content-length": 7 }).end());
    if (isStruck) proxy.inject(slow(1));
    const { headers, body } = await ask(proxy, "HEAD");
    assert.deepEqual([headers["content-length"], body], ["7", ""]);
  });

  test(`a server that answers and closes before it has read a call that is ${how} ends nothing but that call`, async () => {
    let calls = 0;
    const proxy = await proxyTo((asked, response) => {
      if (++calls > 3) return void mirror(asked, response);
      response.writeHead(413).end(() => asked.socket.resetAndDestroy());
    });
    if (isStruck) proxy.inject(slow(1));
    const large = [Buffer.alloc(8_000_000)];
    for (let call = 0; call < 3; call++) await ask(proxy, "PUT", {}, large).catch(() => {});
    assert.equal((await ask(proxy, "PUT", {}, ["x"])).status, 201);
  });

  test(`a server that dies in the middle of an answer that is ${how} resets the client's connection`, async () => {
    const proxy = await proxyTo((asked, response) => {
      response.writeHead(200, { "content-length": 100 });
      response.write("half", () => asked.socket.resetAndDestroy());
    });
    if (isStruck) proxy.inject(slow(1));
    await assert.rejects(ask(proxy, "GET"));
  });

  test(`a client that leaves while its call is ${how} ends nothing but that call`, async () => {
    let seen = 0;
    const proxy = await proxyTo((asked, response) => {
      seen++;
      if (asked.url === "/never") return;
      void mirror(asked, response);
    });
    if (isStruck) proxy.inject(slowAnswer(1));
    const leaving = request({ port: proxy.port, host: "127.0.0.1", path: "/never", method: "PUT" });
    leaving.on("error", () => {});
    leaving.write("begun");
    if (!isStruck) await until("the server saw the call", () => seen === 1);
    leaving.destroy();
    assert.equal((await ask(proxy, "PUT", {}, ["x"])).status, 201);
  });
}

test("a client that expects to be told to go on is told so, and the server is not asked", async () => {
  const proxy = await proxyTo(mirror);
  const asked = request({
    port: proxy.port,
    host: "127.0.0.1",
    method: "PUT",
    headers: { expect: "100-continue" },
  });
  asked.flushHeaders();
  await once(asked, "continue");
  asked.end("body");
  const [answer] = (await once(asked, "response")) as [IncomingMessage];
  const heard = JSON.parse((await readBody(answer)).toString());
  assert.equal(heard.body, "body");
  assert.equal(heard.headers.expect, undefined);
});

test("a cut answer ends in its middle; one that has no middle passes, and is not counted", async () => {
  const proxy = await proxyTo((asked, response) =>
    response.end(asked.method === "GET" ? "x".repeat(1000) : ""),
  );
  const fault = proxy.inject(cutAnswer());
  await assert.rejects(ask(proxy, "GET"));
  assert.equal(fault.struck, 1);
  assert.equal((await ask(proxy, "DELETE")).status, 200);
  assert.equal(fault.struck, 1);
  assert.deepEqual(proxy.counters, { cutAnswer: 1 });
});

test("a cut resets every connection, and the next ones work", async () => {
  const proxy = await proxyTo((asked, response) => {
    if (asked.method === "GET") void mirror(asked, response);
  });
  const waiting = request({ port: proxy.port, host: "127.0.0.1", method: "POST" }).end();
  const failed = once(waiting, "error");
  await once(waiting, "socket");
  const probe = await ask(proxy, "GET");
  assert.equal(probe.status, 201);
  proxy.cut();
  assert.match((await failed)[0].code, /ECONNRESET/);
  assert.equal((await ask(proxy, "GET")).status, 201);
});
