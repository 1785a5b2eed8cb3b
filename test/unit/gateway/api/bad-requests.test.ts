import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { AnswerCheck } from "../../../support/answer-check.ts";
import { apiDocument, uncallableApi, uncallableToken } from "../../../support/api-document.ts";
import { assertPlain } from "../../../support/plain-words.ts";

const api = await uncallableApi();
after(() => api.close());
const document = await apiDocument();
const check = new AnswerCheck(document);

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly where: string | null;
  readonly details?: { readonly faults?: readonly { readonly where: string }[] };
}

async function refusalOf(method: string, url: string, payload?: string, type = "application/json") {
  const headers = {
    authorization: `Bearer ${uncallableToken}`,
    ...(payload === undefined ? {} : { "content-type": type }),
  };
  const body = payload === undefined ? {} : { payload };
  const answer = await api.inject({ method: method as "GET", url, headers, ...body });
  const contentType = String(answer.headers["content-type"]);
  const { statusCode: status } = answer;
  assert.equal(check.faultOf({ method, url, status, contentType, body: answer.body }), null);
  const refusal = answer.json<Refusal>();
  assertPlain(refusal.message, `${method} ${url} ${payload}`);
  return { status, ...refusal };
}

const engine = { name: "engine", filter: "plant/{device}/engine", format: "json" };
const name = "give a name of at most 63 small letters, digits and _, that begins with a letter";
const device = "give a name of 1 to 128 letters, digits and . _ : @ -, that begins with a letter or digit";

/** Body of POST /v1/topics, the expected message, and the expected place. */
const topics: readonly [body: unknown, message: string, where: string | null][] = [
  [{ ...engine, format: "jsn" }, 'format "jsn": choose envelope, json or raw.', "format"],
  [{ ...engine, format: 7 }, "format 7: choose envelope, json or raw, not a number.", "format"],
  [{ ...engine, fromat: "json" }, "fromat is unknown: did you mean format?", "fromat"],
  [{ filter: "a", format: "raw" }, `name is missing: ${name}.`, "name"],
  [{ ...engine, name: "Engine 1" }, `name "Engine 1": ${name}.`, "name"],
  [{ ...engine, filter: "" }, 'filter "": give a text of 1 to 1024 characters.', "filter"],
  [{ ...engine, filter: null }, "filter null: give a text of 1 to 1024 characters, not null.", "filter"],
  [
    { ...engine, idPath: "a..b" },
    'idPath "a..b": give names of fields with dots between them, such as meta.id, at most 8.',
    "idPath",
  ],
  [{ ...engine, schema: [] }, "schema []: give a JSON Schema as an object, or null, not a list.", "schema"],
  [
    { ...engine, maxPayloadBytes: "99" },
    'maxPayloadBytes "99": give a whole number from 1 to 786432, not a text.',
    "maxPayloadBytes",
  ],
  [
    { ...engine, maxPayloadBytes: 1.5 },
    "maxPayloadBytes 1.5: give a whole number from 1 to 786432.",
    "maxPayloadBytes",
  ],
  [{ ...engine, allowedQos: [0, 5] }, "allowedQos[1] 5: choose 0, 1 or 2.", "allowedQos[1]"],
  [
    { ...engine, allowedQos: [1, 1] },
    "allowedQos [1,1]: give a list of 0, 1 and 2, each at most once.",
    "allowedQos",
  ],
  [
    { ...engine, dedupeWindowMs: 5 },
    "dedupeWindowMs 5: give a whole number from 1000 to 604800000.",
    "dedupeWindowMs",
  ],
  [
    { ...engine, eventPastMs: 59_999 },
    "eventPastMs 59999: give a whole number from 60000 to 315360000000.",
    "eventPastMs",
  ],
  [
    { ...engine, eventAheadMs: "1h" },
    'eventAheadMs "1h": give a whole number from 60000 to 315360000000, not a text.',
    "eventAheadMs",
  ],
  [
    { ...engine, retentionMs: 86_399_999 },
    "retentionMs 86399999: give a whole number from 86400000, which is 1 day, to 3153600000000, which is 100 years, or null.",
    "retentionMs",
  ],
  [{ ...engine, dedupe: "exat" }, 'dedupe "exat": choose window or exact.', "dedupe"],
  [
    { ...engine, publishers: "*" },
    'publishers "*": give a list of at most 1000 names of identities, or prefixes ending in *, not a text.',
    "publishers",
  ],
  [
    { ...engine, subscribers: [""] },
    'subscribers[0] "": give a text of 1 to 256 characters.',
    "subscribers[0]",
  ],
  [
    { ...engine, messagesPerSecond: 0 },
    "messagesPerSecond 0: give a number above 0, at most 1000000 or null.",
    "messagesPerSecond",
  ],
  [
    { ...engine, format: "jsn", qos: 1 },
    'qos is unknown: choose name, filter, format, idPath, timePath, schema, maxPayloadBytes, allowedQos, dedupeWindowMs, dedupe, eventPastMs, eventAheadMs, retentionMs, publishers, subscribers or messagesPerSecond; format "jsn": choose envelope, json or raw.',
    "qos",
  ],
  ["engine", 'the body "engine": give a JSON object, not a text.', null],
  [[], "the body []: give a JSON object, not a list.", null],
];

const others: readonly [method: string, url: string, body: unknown, message: string, where: string | null][] =
  [
    ["POST", "/v1/devices", { name: "a/b" }, `name "a/b": ${device}.`, "name"],
    ["POST", "/v1/devices", {}, `name is missing: ${device}.`, "name"],
    ["POST", "/v1/devices", { name: "a", role: "egde" }, 'role "egde": choose device or edge.', "role"],
    [
      "POST",
      "/v1/devices",
      { name: "a", password: "secret" },
      'password "***": give a password of 8 to 256 characters.',
      "password",
    ],
    [
      "POST",
      "/v1/devices",
      { name: "a", topicPrefixes: "x" },
      'topicPrefixes "x": give a list of at most 100 beginnings of topic names, not a text.',
      "topicPrefixes",
    ],
    ["GET", "/v1/devices?limit=0", undefined, "?limit=0: give a whole number from 1 to 1000.", "?limit"],
    [
      "GET",
      "/v1/devices?limit=many",
      undefined,
      "?limit=many: give a whole number from 1 to 1000.",
      "?limit",
    ],
    ["GET", "/v1/devices?limits=1", undefined, "?limits is unknown: did you mean limit?", "?limits"],
    ["GET", "/v1/topics?deleted=yes", undefined, "?deleted=yes: give true or false.", "?deleted"],
    ["GET", "/v1/topics?delted=true", undefined, "?delted is unknown: did you mean deleted?", "?delted"],
    ["DELETE", "/v1/topics/a?purge=1", undefined, "?purge=1: give true or false.", "?purge"],
    ["GET", "/v1/quarantine?topic=", undefined, "?topic=: give a text of 1 to 256 characters.", "?topic"],
    [
      "GET",
      "/v1/quarantine/1;DROP",
      undefined,
      '{id} "1;DROP": give the id of a quarantined message, as the list shows it.',
      "{id}",
    ],
    [
      "POST",
      "/v1/stream/accept-gap",
      { partition: -1 },
      "partition -1: give a whole number from 0 to 65535.",
      "partition",
    ],
    ["POST", "/v1/stream/accept-gap", undefined, "the body is missing: give a JSON object.", null],
  ];

describe("wrong requests", () => {
  test("the fault, its place and the correction are reported in words of the request", async () => {
    const all = [
      ...topics.map(([body, ...rest]) => ["POST", "/v1/topics", body, ...rest] as const),
      ...others,
    ];
    for (const [method, url, body, message, where] of all) {
      const refusal = await refusalOf(method, url, body === undefined ? undefined : JSON.stringify(body));
      const found = [refusal.status, refusal.code, refusal.message, refusal.where];
      assert.deepEqual(found, [400, "REQUEST_INVALID", message, where]);
    }
  });

  test("every field and parameter of every route is named if it has a wrong type or is unknown", async () => {
    let tried = 0;
    for (const [path, methods] of Object.entries(document.paths))
      for (const [method, { requestBody, parameters = [] }] of Object.entries(methods)) {
        const url = path.replace(/\{\w+\}/, "s.0.1.2");
        const schema = requestBody?.content["application/json"]?.schema as
          | { properties?: object }
          | undefined;
        for (const field of [...Object.keys(schema?.properties ?? {}), "zzzzzzzz"].slice(schema ? 0 : -1)) {
          if (!schema) break;
          const refusal = await refusalOf(
            method.toUpperCase(),
            url,
            JSON.stringify({ [field]: { a: { b: 1 } } }),
          );
          const wheres = refusal.details?.faults?.map(({ where }) => where) ?? [];
          // A schema may have any members.
          if (field !== "schema") assert.ok(wheres.includes(field), `${method} ${path} ${field}`);
          tried++;
        }
        const named = parameters.filter((parameter) => parameter.in === "query").map((each) => each.name);
        for (const parameter of named) {
          const refusal = await refusalOf(method.toUpperCase(), `${url}?${parameter}=1&${parameter}=2`);
          assert.equal(refusal.where, `?${parameter}`, `${method} ${path}`);
          tried++;
        }
      }
    assert.ok(tried > 25, String(tried));
  });

  test("unreadable bodies and paths are refused in the same words and form", async () => {
    const bodies: readonly [payload: string, type: string, status: number, message: RegExp][] = [
      ["{not json", "application/json", 400, /^The body is not JSON: line 1, column 2 does not fit\.$/],
      ['{\n "a": 1,\n}', "application/json", 400, /^The body is not JSON: line 3, column 1 does not fit\.$/],
      ['{"name":', "application/json", 400, /^The body is not JSON: it ends too early\.$/],
      ["", "application/json", 400, /^The body is not JSON: it is empty\.$/],
      ['{"__proto__":{}}', "application/json", 400, /leave it out/],
      [
        '{"schema":{"properties":{"n":{"maximum":9007199254740993}}}}',
        "application/json",
        400,
        /^schema\.properties\.n\.maximum "9007199254740993": this number has too many digits: give 9007199254740992,/,
      ],
      [
        "name=a",
        "application/x-www-form-urlencoded",
        400,
        /^The body is not sent as JSON: send JSON with the header/,
      ],
      ["name", "text/plain", 400, /^The body is not sent as JSON: send JSON with the header/],
      [
        JSON.stringify({ a: "x".repeat(2_000) }),
        "application/json",
        413,
        /http\.bodyMaxBytes \(1024 bytes\)/,
      ],
    ];
    for (const [payload, type, status, message] of bodies) {
      const refusal = await refusalOf("POST", "/v1/topics", payload, type);
      assert.equal(refusal.status, status, payload);
      assert.match(refusal.message, message);
    }
    for (const [path, status, message] of [
      ["/v1/topics/%zz", 400, /write a literal % as %25/],
      [`/v1/topics/${"x".repeat(600)}`, 400, /at most 512 characters/],
      ["/v2/topics", 404, /^The API has no GET \/v2\/topics: see \/openapi\.json\.$/],
    ] as const) {
      const answer = await api.inject({ url: path, headers: { authorization: `Bearer ${uncallableToken}` } });
      assert.equal(answer.statusCode, status, path);
      const { message: text, where, retryable } = answer.json();
      assert.match(text, message);
      assert.deepEqual([where, retryable], [null, false]);
    }
  });
});
