/**
 * Messages and schemas that once stopped a gateway, or were filed with another value, each for a topic that
 * judges it.
 */

interface Example {
  readonly name: string;
  readonly schema?: object;
  readonly paths?: { readonly idPath?: string; readonly timePath?: string };
  readonly format?: "json" | "envelope" | "raw";
  readonly payloads: (id: string, nowMs: number) => readonly (string | Buffer)[];
}

const object = (properties: object) => ({ type: "object", properties });
const nested = (levels: number, open: string, close: string) => open.repeat(levels) + close.repeat(levels);

export const exampleMessages: readonly Example[] = [
  {
    name: "recursive",
    schema: object({ c: { $ref: "#" } }),
    payloads: (id, now) => [
      `{"id":"${id}","ts":${now},"c":${nested(10_000, '{"c":', "")}1${"}".repeat(10_000)}}`,
      `{"id":"${id}b","ts":${now},"c":${nested(60_000, "[", "]")}}`,
    ],
  },
  {
    name: "multiplying",
    schema: { ...object({ c: { anyOf: [{ $ref: "#" }, { $ref: "#" }] } }), required: ["x"] },
    payloads: (id, now) => [
      `{"id":"${id}","ts":${now},"c":${nested(20, '{"x":1,"c":', "")}{}${"}".repeat(20)}}`,
    ],
  },
  {
    name: "backtracking",
    schema: object({ s: { type: "string", pattern: "^(a+)+$" } }),
    payloads: (id, now) => [`{"id":"${id}","ts":${now},"s":"${"a".repeat(100_000)}!"}`],
  },
  {
    name: "unique",
    schema: object({ l: { type: "array", uniqueItems: true } }),
    payloads: (id, now) => [
      `{"id":"${id}","ts":${now},"l":[${Array.from({ length: 20_000 }, (_, index) => index)}]}`,
      `{"id":"${id}b","ts":${now},"l":[${Array.from({ length: 5_000 }, (_, index) => `{"a":${index}}`)}]}`,
    ],
  },
  {
    name: "values",
    schema: object({ v: { type: "number" }, n: { type: "integer" }, constructor: { type: "number" } }),
    payloads: (id, now) => [
      `{"id":"${id}","ts":${now},"v":1e400}`,
      `{"id":"${id}b","ts":${now},"n":1640992921119120400}`,
      `{"id":"${id}c","ts":${now},"n":${"9".repeat(50_000)}}`,
      `{"id":"${id}d","ts":"2026-02-30T12:00:00Z"}`,
      `{"id":"${id}e","ts":${Math.floor(now / 1_000)}}`,
      `{"id":"${id}f","ts":${now}000000}`,
      `{"id":"${id}g","ts":"${Math.floor(now / 1_000)}"}`,
      `\ufeff{"id":"${id}h","ts":${now}}`,
      `{"id":"0123456789012345678901234567890123456789012345678901234567890123456789${id}","ts":${now}}`,
      `[{"id":"${id}i","ts":${now},"v":1},{"id":"${id}j","ts":${now},"v":2}]`,
      '{"state":"ON","linkquality":81}',
      "",
      Buffer.alloc(100_000, 0xff),
    ],
  },
  {
    name: "counted",
    paths: { idPath: "n" },
    payloads: (_id, now) => [`{"n":1764346600.88,"ts":${now}}`, `{"n":1,"boot":2,"ts":${now},"v":9}`],
  },
  {
    name: "local",
    paths: { idPath: "Time", timePath: "Time" },
    payloads: (_id, now) => [
      '{"Time":"2026-11-28T16:16:39","ENERGY":{"Power":41}}',
      `{"Time":"${new Date(now).toISOString()}","ENERGY":{"Power":${now % 97}}}`,
    ],
  },
  {
    name: "enveloped",
    format: "envelope",
    payloads: () => [Buffer.alloc(50_000, 0x0b), Buffer.from([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), "{}"],
  },
];

/** Refused or accepted, without an effect on others. */
export const exampleSchemas: readonly string[] = [
  '{"type":"object","properties":{"a\\u0000b":{"type":"number"}}}',
  '{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","properties":{"v":{"type":"number"}}}',
  '{"type":"object","properties":{"mode":{"enum":["idle","run"]}}}',
  '{"type":"object","properties":{"t":{"anyOf":[{"type":"number"},{"type":"null"}]}}}',
  '{"type":"object","properties":{"loc":{"type":"object","properties":{"lat":{"type":"number"}}}}}',
  '{"type":"object","properties":{"s":{"type":"string","pattern":"(a)\\\\1"}}}',
  '{"type":"object","allOf":[{"$ref":"#"}]}',
  `${'{"type":"object","properties":{"c":'.repeat(10_000)}{}${"}}".repeat(10_000)}`,
];
