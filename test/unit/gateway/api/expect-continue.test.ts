import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { after, test } from "node:test";
import { uncallableApi, uncallableToken } from "../../../support/api-document.ts";

const api = await uncallableApi();
after(() => api.close());
const port = Number(new URL(await api.listen({ host: "127.0.0.1", port: 0 })).port);

/** The answer until the connection ends. Sends `body` once the server asks for it. */
async function exchange(headers: Readonly<Record<string, string>>, body = ""): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  const lines = Object.entries({ host: "a", "content-type": "application/json", ...headers });
  socket.write(
    `POST /v1/topics HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
  );
  let answer = "";
  let isAsked = false;
  for await (const chunk of socket) {
    answer += String(chunk);
    if (isAsked || !answer.includes("100 Continue")) continue;
    isAsked = true;
    socket.write(body);
  }
  return answer;
}

const authorization = `Bearer ${uncallableToken}`;
const expect = { expect: "100-continue" };

test("a body that is declared too large is refused before any of it is sent", async () => {
  const answer = await exchange({ ...expect, authorization, "content-length": "20000000" });
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /REQUEST_TOO_LARGE/);
  assert.match(answer, /connection: close/i);
});

test("any other body is asked for", async () => {
  for (const length of [{ "content-length": "2" }, { "transfer-encoding": "chunked" }]) {
    const body = "content-length" in length ? "{}" : "2\r\n{}\r\n0\r\n\r\n";
    const answer = await exchange({ ...expect, authorization, ...length, connection: "close" }, body);
    assert.match(answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 400 /);
    assert.match(answer, /name is missing/);
  }
});

test("without a right token, a body that is too large is refused as any other request", async () => {
  const answer = await exchange({ ...expect, "content-length": "20000000" });
  assert.match(answer, /^HTTP\/1\.1 401 /);
});
