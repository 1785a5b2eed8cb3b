import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { InjectOptions } from "fastify";
import pino from "pino";
import { createApi } from "../../../../gateway/api/api-server.ts";
import type { ApiServices, QuarantineFilter } from "../../../../gateway/api/api-services.ts";
import { ensureApiToken } from "../../../../gateway/api/api-token.ts";
import { identifyFile } from "../../../../gateway/data-folder/folder-identity.ts";
import { Devices } from "../../../../gateway/registry/devices.ts";
import { LmdbRegistry } from "../../../../gateway/registry/lmdb-registry.ts";
import { Topics } from "../../../../gateway/registry/topics.ts";
import type { GatewayStatus } from "../../../../gateway/status/gateway-status.ts";
import { ChildError } from "../../../../gateway/supervisor/child-channel.ts";
import { createGatewayMetrics } from "../../../../gateway/supervisor/gateway-metrics.ts";
import { AnswerCheck } from "../../../support/answer-check.ts";
import { apiDocument } from "../../../support/api-document.ts";
import { MemoryTopicArchive } from "../../../support/memory-topic-archive.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-api-"));
const token = ensureApiToken(folder);
const store = await LmdbRegistry.openForWriting(join(folder, "registry"));
const metrics = createGatewayMetrics();
const asked: QuarantineFilter[] = [];
const quarantined = {
  id: "s.0.1.2",
  ingest_time: "2026-11-29T00:00:00.000Z",
  device_id: "press-7",
  topic: "plant/press-7/engine",
  reason: "id-missing",
  detail: "nothing at id",
  topic_version: 1,
  event_time: null,
  payload_crc: 1,
} as const;
const emptyStatus: GatewayStatus = {
  version: "1.2.3",
  startedAt: "2026-11-29T00:00:00.000Z",
  isReady: false,
  reasons: [],
  progress: [],
  degraded: [],
  data: "/data",
  lake: { url: "file:/data/lake", id: "l" },
  stream: "embedded:",
  window: "memory:",
  roles: ["broker", "consumer", "upkeep"],
  processes: [],
  broker: null,
  consumer: null,
  upkeep: null,
  books: null,
  waiting: null,
};
const noFilter = { topicId: undefined, mqttTopic: undefined, device: undefined, reason: undefined };
let isReady = false;
let reasons = ["consumer is starting"];
let progress: string[] = [];
let degraded: string[] = [];
const services: ApiServices = {
  topics: new Topics({
    store,
    archive: new MemoryTopicArchive(),
    now: () => 7,
    packetMaxBytes: 262_144,
    plainFilters: [],
    changed: async () => {},
  }),
  devices: new Devices({ store, now: () => 7, revoked: async () => {} }),
  quarantine: {
    list: async (filter) => {
      asked.push(filter);
      return [quarantined];
    },
    show: async (id) =>
      id === quarantined.id ? { ...quarantined, payload_base64: "AA==", message_id_base64: null } : null,
  },
  readiness: async () => ({ isReady, reasons: isReady ? [] : reasons, progress, degraded }),
  status: async () => emptyStatus,
  metrics: () => metrics.registry.metrics(),
  acceptGap: async (partition) => {
    if (partition === 0) return { partition, from: "1", to: "2", unaccounted: 3 };
    if (partition === 1)
      throw new ChildError({ code: "STREAM_NO_GAP", message: "nothing to accept", retryable: false });
    throw new Error("a secret detail");
  },
};
const api = await createApi({
  services,
  token,
  folder: identifyFile(folder),
  bodyMaxBytes: 2_048,
  version: "1.2.3",
  logger: pino({ level: "silent" }),
  requests: metrics.apiRequests,
});
after(async () => {
  await api.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Checks every answer of these tests against the description. */
const check = new AnswerCheck(await apiDocument());
async function inject(options: InjectOptions & { method: string; url: string }) {
  const answer = await api.inject(options);
  const { statusCode: status, body } = answer;
  const contentType = String(answer.headers["content-type"]);
  assert.equal(check.faultOf({ method: options.method, url: options.url, status, contentType, body }), null);
  return answer;
}

async function call(method: string, url: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await inject({
    method: method as "GET",
    url,
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  return { status: answer.statusCode, body: answer.body.startsWith("{") ? answer.json() : answer.body };
}

const engine = { name: "engine", filter: "plant/{device}/engine", format: "json" };

describe("HTTP API", () => {
  test("the token is created once, readable by its owner only, and needed everywhere except on routes of monitors", async () => {
    assert.equal(ensureApiToken(folder), token);
    assert.equal(statSync(join(folder, "api-token")).mode & 0o777, 0o600);
    const closed = ["/v1/topics", "/v1/devices", "/v1/quarantine", "/v1/status", "/metrics", "/nowhere"];
    for (const url of closed)
      for (const authorization of ["", "Bearer ", "Bearer wrong", `Basic ${token}`, token]) {
        const refused = await call("GET", url, undefined, { authorization });
        assert.deepEqual(
          [refused.status, refused.body.code],
          [401, "TOKEN_REFUSED"],
          `${url} with "${authorization}"`,
        );
      }
    for (const url of ["/livez", "/openapi.json"])
      assert.equal((await inject({ method: "GET", url })).statusCode, 200, url);
  });

  test("a request for the gateway of another folder is refused, although a copy of a folder holds the same token", async () => {
    const place = identifyFile(folder);
    assert.ok(place);
    const own = { "tidegate-folder": `${place.device}:${place.inode}` };
    assert.equal((await call("GET", "/v1/topics", undefined, own)).status, 200);
    for (const other of [`${place.device}:1`, `1:${place.inode}`, ""]) {
      const { status, body } = await call("GET", "/v1/topics", undefined, { "tidegate-folder": other });
      assert.deepEqual([status, body.code], [421, "GATEWAY_OTHER"], other);
    }
  });

  test("readiness is a status code with reasons", async () => {
    const waiting = await inject({ method: "GET", url: "/readyz" });
    assert.equal(waiting.statusCode, 503);
    assert.deepEqual(waiting.json().reasons, ["consumer is starting"]);
    assert.equal((await inject({ method: "GET", url: "/livez" })).statusCode, 200);
    isReady = true;
    assert.equal((await inject({ method: "GET", url: "/readyz" })).statusCode, 200);
  });

  test("readiness says degraded, with the reason, while publishes are acknowledged and other work is stuck", async () => {
    const answer = async () => (await inject({ method: "GET", url: "/readyz" })).json();
    assert.equal((await answer()).state, "ready");
    degraded = ["filing: partition 0 is not read: STREAM_GAP: /data/stream has lost blocks"];
    progress = ["the consumer has been recovering for 1 s (tables)"];
    const { statusCode } = await inject({ method: "GET", url: "/readyz" });
    assert.equal(statusCode, 200);
    assert.deepEqual(await answer(), {
      state: "degraded",
      isReady: true,
      reasons: [],
      progress,
      degraded: ["filing: partition 0 is not read: STREAM_GAP: … has lost blocks"],
    });
    isReady = false;
    assert.equal((await answer()).state, "not ready");
    isReady = true;
    degraded = [];
    progress = [];
  });

  test("readiness shows no stack trace and no path without the token", async () => {
    const { stack } = new TypeError("can't read /var/lib/tidegate/data/stream/0.mdb");
    reasons = [
      `broker: INTERNAL_ERROR: ${stack}`,
      "broker: STREAM_GAP: '/data/my stream' lost blocks: run `tidegate stream new --data /data/a --lake file:/data/lake`",
      "broker: ./data, ~/data and (../data/stream) are gone; /.hidden:too",
      "broker: something else answers at http://127.0.0.1:4567/kinesis; CONFIG SET appendonly yes and/or wait",
    ];
    isReady = false;
    const open = await call("GET", "/readyz", undefined, { authorization: "Bearer wrong" });
    const known = await call("GET", "/readyz");
    isReady = true;
    assert.deepEqual(open.body.reasons, [
      "broker: INTERNAL_ERROR: TypeError: can't read …",
      "broker: STREAM_GAP: '…' lost blocks: run `tidegate stream new --data … --lake …`",
      "broker: …, … and (…) are gone; …:too",
      "broker: something else answers at http://127.0.0.1:4567/kinesis; CONFIG SET appendonly yes and/or wait",
    ]);
    assert.deepEqual(known.body.reasons, reasons);
  });

  test("topics: create, create again, create another one, list, show, update, delete", async () => {
    const created = await call("POST", "/v1/topics", engine);
    assert.equal(created.status, 201);
    assert.equal((await call("POST", "/v1/topics", engine)).status, 200);
    const other = await call("POST", "/v1/topics", { ...engine, format: "raw" });
    assert.deepEqual([other.status, other.body.code], [409, "TOPIC_EXISTS"]);
    const listed = await call("GET", "/v1/topics");
    assert.deepEqual(listed.body.topics, [created.body.topic]);
    const updated = await call("PUT", "/v1/topics/engine", { ...engine, maxPayloadBytes: 99 });
    assert.equal(updated.body.topic.version, 2);
    const renamed = await call("PUT", "/v1/topics/engine", { ...engine, name: "motor" });
    assert.deepEqual([renamed.status, renamed.body.code], [400, "TOPIC_INVALID"]);
    assert.equal((await call("GET", "/v1/topics/engine")).body.versions.length, 2);
    assert.equal((await call("GET", "/v1/topics/nothing")).status, 404);
    const purged = await call("DELETE", "/v1/topics/engine?purge=true");
    assert.deepEqual([purged.status, purged.body.code], [409, "TOPIC_PURGE_UNSAFE"]);
    assert.equal((await call("DELETE", "/v1/topics/engine")).body.topic.deleted, true);
    assert.deepEqual((await call("GET", "/v1/topics")).body.topics, []);
    assert.equal((await call("GET", "/v1/topics?deleted=true")).body.topics.length, 1);
  });

  test("wrong requests are refused with a code and a text, and have no effect", async () => {
    const wrong: [string, string, unknown, number, string][] = [
      ["POST", "/v1/topics", { ...engine, colour: "red" }, 400, "REQUEST_INVALID"],
      ["POST", "/v1/topics", { ...engine, maxPayloadBytes: "99" }, 400, "REQUEST_INVALID"],
      ["POST", "/v1/topics", { ...engine, filter: "a/#/b" }, 400, "TOPIC_INVALID"],
      [
        "POST",
        "/v1/topics",
        { ...engine, schema: { type: "object", properties: { x: { type: "no" } } } },
        400,
        "TOPIC_SCHEMA_INVALID",
      ],
      ["POST", "/v1/topics", "{not json", 400, "REQUEST_INVALID"],
      ["POST", "/v1/topics", { ...engine, filter: "x".repeat(3_000) }, 413, "REQUEST_TOO_LARGE"],
      ["GET", "/v1/topics?delted=true", undefined, 400, "REQUEST_INVALID"],
      ["GET", "/v1/devices?limit=0", undefined, 400, "REQUEST_INVALID"],
      ["POST", "/v1/devices", { name: "a/b" }, 400, "REQUEST_INVALID"],
      ["DELETE", "/v1/devices/nobody", undefined, 404, "DEVICE_UNKNOWN"],
      ["GET", "/v1/quarantine?limit=100000", undefined, 400, "REQUEST_INVALID"],
      ["GET", "/v1/quarantine/1;DROP", undefined, 400, "REQUEST_INVALID"],
      ["POST", "/v1/stream/accept-gap", { partition: -1 }, 400, "REQUEST_INVALID"],
      ["GET", "/v2/topics", undefined, 404, "ROUTE_UNKNOWN"],
      ["PATCH", "/v1/topics", undefined, 404, "ROUTE_UNKNOWN"],
    ];
    for (const [method, url, body, status, code] of wrong) {
      const json = { "content-type": "application/json" };
      const answer = await call(method, url, body, body === undefined ? {} : json);
      assert.deepEqual(
        [answer.status, answer.body.code],
        [status, code],
        `${method} ${url} ${JSON.stringify(body)}`,
      );
      assert.ok(answer.body.message.length > 10);
    }
  });

  test("a device's key is in the answer to its creation and nowhere else", async () => {
    const added = await call("POST", "/v1/devices", { name: "press-7" });
    assert.equal(added.status, 201);
    assert.match(added.body.key, /^tgk_/);
    assert.equal((await call("POST", "/v1/devices", { name: "press-7" })).status, 409);
    const listed = await call("GET", "/v1/devices?limit=1");
    assert.equal(listed.body.devices[0].name, "press-7");
    assert.equal(listed.body.next, "press-7");
    assert.ok(!JSON.stringify(listed.body).includes(added.body.key));
    // Many clients send a content type without a body.
    const type = { "content-type": "application/json", "content-length": "0" };
    const removed = await call("DELETE", "/v1/devices/press-7", undefined, type);
    assert.deepEqual(removed.body, { removed: "press-7" });
  });

  test("the quarantine is listed with filters and shown one by one", async () => {
    const listed = await call("GET", "/v1/quarantine?limit=5&reason=id-missing");
    assert.deepEqual(listed.body.rows, [quarantined]);
    assert.deepEqual({ ...asked.pop() }, { limit: 5, ...noFilter, reason: "id-missing" });
    assert.equal((await call("GET", "/v1/quarantine/s.0.1.2")).body.row.payload_base64, "AA==");
    const unknown = await call("GET", "/v1/quarantine/s.0.1.3");
    assert.deepEqual([unknown.status, unknown.body.code], [404, "QUARANTINE_UNKNOWN"]);
  });

  test("the quarantine is filtered by a topic's name; a filter that cannot match is refused", async () => {
    const body = { name: "presses", filter: "press/{device}", format: "json" };
    const { topic } = (await call("POST", "/v1/topics", body)).body;
    await call("DELETE", "/v1/topics/presses");
    await call("GET", "/v1/quarantine?topic=presses&device=p&mqttTopic=press/p");
    assert.deepEqual(asked.pop(), {
      limit: 50,
      topicId: topic.topicId,
      mqttTopic: "press/p",
      device: "p",
      reason: undefined,
    });
    for (const [query, says] of [
      ["topic=pres", /^\?topic=pres: there is no such topic.*--mqtt-topic/],
      ["topic=press/p", /^\?topic=press\/p: there is no such topic/],
      ["reason=schema", /^\?reason=schema: choose .*schema-violated/],
    ] as const) {
      const answer = await call("GET", `/v1/quarantine?${query}`);
      assert.deepEqual([answer.status, answer.body.code], [400, "REQUEST_INVALID"], query);
      assert.match(answer.body.message, says);
    }
    assert.deepEqual(asked, []);
  });

  test("a child's refusal keeps its code, an internal error shows no secrets", async () => {
    assert.equal((await call("POST", "/v1/stream/accept-gap", { partition: 0 })).body.unaccounted, 3);
    const none = await call("POST", "/v1/stream/accept-gap", { partition: 1 });
    assert.deepEqual([none.status, none.body.code], [409, "STREAM_NO_GAP"]);
    const failed = await call("POST", "/v1/stream/accept-gap", { partition: 2 });
    assert.deepEqual([failed.status, failed.body.code], [500, "INTERNAL_ERROR"]);
    assert.ok(!failed.body.message.includes("secret"));
  });

  test("the description needs no token, and has the gateway's version", async () => {
    const { info, paths } = (await inject({ method: "GET", url: "/openapi.json" })).json();
    assert.equal(info.version, "1.2.3");
    assert.deepEqual(Object.keys(paths).length, 12);
  });

  test("it answers over a real connection, and counts its answers", async () => {
    const address = await api.listen({ host: "127.0.0.1", port: 0 });
    assert.equal((await fetch(`${address}/livez`)).status, 200);
    assert.equal((await fetch(`${address}/v1/topics`)).status, 401);
    const answer = await fetch(`${address}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    assert.match(answer.headers.get("content-type") ?? "", /text\/plain; version=0\.0\.4/);
    assert.match(
      await answer.text(),
      /tidegate_api_requests_total\{method="GET",route="\/v1\/topics",status="401"\} \d+/,
    );
  });
});
