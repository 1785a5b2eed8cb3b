import fc from "fast-check";

/**
 * JSON Schemas of a hostile admin, as the text of a JSON object, because JSON.stringify would leave out
 * `__proto__` and 1e400.
 */

const names = [
  ...[
    "",
    "__proto__",
    "constructor",
    "toString",
    "a\\u0000b",
    "\\ud800",
    "\\u2028",
    "\\u202e",
    "é",
    "e\\u0301",
  ],
  ...[
    "payload",
    "Device_ID",
    "_INDEX",
    "event_date",
    "_change_type",
    "reason",
    "İd",
    "ſ",
    "a b",
    "a=b",
    "a{",
    "a.b",
  ],
  ...[
    "a`b",
    'a\\"b',
    "a'b",
    "select",
    "😀",
    "-",
    "1",
    "v",
    "V",
    "n",
    "s",
    "$ref",
    "x".repeat(255),
    "x".repeat(256),
  ],
  ...["x".repeat(10_000), "%s", "$x", "a/b", "~1", "*", "#", "\\\\", "--", "rowid", "main", "filename"],
];

const types = ["number", "integer", "string", "boolean", "null", "object", "array", "no-type"];

const patterns = [
  ...[
    "^(a+)+$",
    "(a|aa)*b",
    "^(?=a)",
    "(a)\\\\1",
    "(",
    "[",
    "a{1000}",
    "a{1001}",
    "(a{1000}){1000}",
    "\\\\p{L}+",
  ],
  ...[
    "\\\\p{No}",
    "\\\\u{110000}",
    "^.{1,1000}$",
    "(?<n>a)\\\\k<n>",
    "(?i)a",
    "\\\\Z",
    "$^",
    "((((a*)*)*)*)*b",
    "[^]",
  ],
  ...["\\ud800", "\\u0000", "", "(?:)", "a**", "\\\\cA", "[\\\\d-z]", "\\\\"],
];

const nestedIn = (levels: number, open: string, inner: string, close: string) =>
  open.repeat(levels) + inner + close.repeat(levels);

const subschemas: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...types).map((type) => `{"type":"${type}"}`) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom(...types), fc.constantFrom(...types))
      .map(([one, other]) => `{"type":["${one}","${other}"]}`),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(...patterns).map((pattern) => `{"type":"string","pattern":"${pattern}"}`),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom("maximum", "minimum", "multipleOf", "exclusiveMinimum", "maxLength", "minItems"),
        fc.constantFrom(
          "1e400",
          "-1e400",
          "0",
          "-1",
          "1e-320",
          "0.1",
          "9007199254740993",
          '"1"',
          "null",
          "1e15",
        ),
      )
      .map(([keyword, limit]) => `{"type":"number","${keyword}":${limit}}`),
  },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...[
        "#",
        "#/properties/v",
        "#/definitions/a",
        "#/definitions/none",
        "http://127.0.0.1:1/s",
        "#x",
        "",
        "%",
      ].map((target) => `{"$ref":"${target}"}`),
      ...[
        '{"$ref":1}',
        '{"$id":"#x","type":"number"}',
        '{"$id":"http://x/","$ref":"http://x/"}',
        "true",
        "false",
      ],
      ...[
        "1",
        "null",
        "[]",
        '"x"',
        '{"format":"date-time","type":"string"}',
        '{"format":"nothing","type":"string"}',
      ],
      ...['{"enum":[]}', '{"enum":[1,1]}', '{"enum":[{"a":[]},"\\ud800",null]}', '{"const":{"__proto__":1}}'],
      ...[
        '{"type":"string","nullable":true}',
        '{"contentMediaType":"x"}',
        '{"$data":"1/v"}',
        '{"$async":true}',
      ],
      ...['{"if":{"$ref":"#"},"then":{"$ref":"#"}}', '{"type":"array","uniqueItems":true}', '{"not":{}}'],
      ...['{"type":"object","properties":{"c":{"$ref":"#"}},"required":["constructor"]}'],
      ...[
        '{"type":"array","items":[{"type":"number"}],"additionalItems":{"$ref":"#"}}',
        '{"propertyNames":{"$ref":"#"}}',
      ],
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.constantFrom(3, 30, 100, 127, 200, 5_000),
        fc.constantFrom("properties", "allOf", "not", "items", "default"),
      )
      .map(([levels, keyword]) => {
        if (keyword === "properties")
          return nestedIn(levels, '{"type":"object","properties":{"c":', '{"type":"number"}', "}}");
        if (keyword === "allOf") return nestedIn(levels, '{"allOf":[', '{"type":"number"}', "]}");
        if (keyword === "default") return `{"default":${nestedIn(levels, "[", "", "]")}}`;
        return nestedIn(levels, `{"${keyword}":`, "{}", "}");
      }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(
        fc.constantFrom(10, 1_000, 20_000),
        fc.constantFrom("enum", "allOf", "anyOf", "patternProperties"),
      )
      .map(([count, keyword]) => {
        const items = (item: (index: number) => string) =>
          Array.from({ length: count }, (_, index) => item(index));
        if (keyword === "enum") return `{"enum":[${items((index) => `"v${index}"`)}]}`;
        if (keyword === "patternProperties")
          return `{"patternProperties":{${items((index) => `"^a{1,9}${index}$":{"type":"number"}`)}}}`;
        return `{"${keyword}":[${items((index) => `{"minimum":${index}}`)}]}`;
      }),
  },
);

const property = fc.tuple(fc.constantFrom(...names), subschemas).map(([name, text]) => `"${name}":${text}`);

const keyword = fc.oneof(
  fc
    .array(fc.constantFrom("id", "constructor", "__proto__", "a\\u0000b", "none"), { maxLength: 3 })
    .map((required) => `"required":${JSON.stringify([...new Set(required)]).replaceAll("\\\\", "\\")}`),
  fc.constantFrom('"additionalProperties":false', '"$schema":"http://json-schema.org/draft-07/schema#"'),
  fc.constantFrom(
    '"$schema":"x"',
    '"$id":"s"',
    '"$id":"http://json-schema.org/draft-07/schema"',
    '"$async":true',
  ),
  subschemas.map((text) => `"additionalProperties":${text}`),
  subschemas.map((text) => `"allOf":[${text},{"$ref":"#"}]`),
  fc.tuple(subschemas, subschemas).map(([a, b]) => `"definitions":{"a":${a},"b":${b}}`),
  fc.constantFrom(...names).map((name) => `"dependencies":{"${name}":["id"]}`),
  fc.constantFrom(...names).map((name) => `"patternProperties":{"${name.slice(0, 20)}":{"type":"number"}}`),
);

const manyProperties = fc
  .constantFrom(100, 499, 501, 5_000)
  .map((count) => Array.from({ length: count }, (_, index) => `"p${index}":{"type":"number"}`).join());

/** Not each of them is JSON. */
export function hostileSchema(): fc.Arbitrary<string> {
  return fc.oneof(
    {
      weight: 20,
      arbitrary: fc
        .tuple(fc.array(property, { maxLength: 4 }), fc.array(keyword, { maxLength: 2 }))
        .map(
          ([properties, keywords]) => `{${['"type":"object"', `"properties":{${properties}}`, ...keywords]}}`,
        ),
    },
    {
      weight: 1,
      arbitrary: manyProperties.map((properties) => `{"type":"object","properties":{${properties}}}`),
    },
    { weight: 1, arbitrary: subschemas },
  );
}
