import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";
import { test } from "node:test";

const root = join(import.meta.dirname, "..");
const folders = ["devices", "broker", "bridge", "simulator", "gateway"] as const;
type Folder = (typeof folders)[number];

/** Who may import whom across folders. `devices/protocol` is the leaf that everybody may use. */
const mayImport: Record<Folder, readonly Folder[]> = {
  devices: [],
  broker: [],
  bridge: [],
  simulator: ["devices"],
  gateway: ["devices", "broker", "bridge"],
};

/** Third-party packages and the only places where each may be imported. */
const packageHomes: Record<string, readonly string[]> = {
  aedes: ["broker/mqtt/"],
  "mqtt-packet": ["broker/mqtt/", "simulator/"],
  mqtt: ["devices/"],
  lmdb: ["bridge/streams/embedded/", "gateway/registry/"],
  ioredis: ["bridge/redis/"],
  "@aws-sdk/client-kinesis": ["bridge/streams/kinesis/", "simulator/prove/"],
  "@aws-sdk/client-s3": ["bridge/lake/stores/s3/", "simulator/audit/", "simulator/prove/"],
  "@aws-sdk/lib-storage": ["bridge/lake/stores/s3/"],
  "@duckdb/node-api": [
    "bridge/lake/parquet/",
    "bridge/lake/query/",
    "bridge/lake/follow/parquet/",
    "simulator/prove/",
  ],
  protobufjs: ["devices/protocol/"],
  ajv: ["bridge/schemas/"],
  re2js: ["bridge/schemas/"],
  fastify: ["gateway/api/"],
  "@fastify/swagger": ["gateway/api/"],
  commander: ["gateway/cli/", "gateway/main.ts", "simulator/"],
  "cli-progress": ["simulator/", "gateway/cli/"],
  hyparquet: ["simulator/audit/"],
  "hyparquet-compressors": ["simulator/audit/"],
  "hdr-histogram-js": ["simulator/"],
  "smol-toml": ["gateway/"],
};

/** Written by a test, from /openapi.json. */
const generated = "typed-client/api-types.ts";

/** Where the error codes stand, each as the key of its entry. */
const errorFiles = folders
  .flatMap(sourceFiles)
  .filter((file) => /^[a-z]+\/errors(\.ts$|\/)/.test(file) || file === "devices/protocol/protocol-error.ts");
/**
 * Inside `broker/`: the ingest core knows no front end, front ends know it by its door only, and none knows
 * another. What is beside them (`config.ts`, `errors.ts`, `client-limits.ts`) may be used by each.
 */
function brokenBrokerRule(file: string, target: string): string | null {
  const part = (path: string) => /^broker\/([^/]+)\//.exec(path)?.[1];
  const [from, to] = [part(file), part(target)];
  if (to === undefined || from === to) return null;
  if (from === "ingest") return "broker/ingest knows no front end";
  if (to === "ingest")
    return target === "broker/ingest/index.ts" ? null : "front ends import only broker/ingest/index.ts";
  return from === undefined ? null : "front ends do not know each other";
}

/** A source file has fewer lines; tests may be longer. */
const sourceLinesMax = 300;
const testLinesMax = 400;

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(ts|js)$/.test(file) && !file.includes("node_modules") && file !== generated)
    .map((file) => join(folder, file).split(sep).join("/"));
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/(?:from|import|import\()\s*["']([^"']+)["']/g)].map((match) => match[1] ?? "");
}

/**
 * The folder of a kind of stream, window or lake has doors of its own, for the gateway's folder of the same
 * kind.
 */
function isDoorOfKind(file: string, target: string): boolean {
  const [, family, kind] =
    /^bridge\/(?:lake\/)?(streams|window|stores)\/(\w+)\/(?:index|kind)\.ts$/.exec(target) ?? [];
  const own = { streams: "streams", window: "windows", stores: "lakes" }[family ?? ""];
  return own !== undefined && file.startsWith(`gateway/${own}/${kind}/`);
}

/** Each part of the bridge has a door, and its files beside the parts are doors. */
function isDoorOfBridge(target: string): boolean {
  return /^bridge\/([\w-]+\.ts|[\w-]+\/index\.ts|lake\/[\w-]+\/index\.ts)$/.test(target);
}

/**
 * The rule that this import breaks, or null. Exported shape kept small so that the checker itself is tested
 * below.
 */
function brokenImportRule(file: string, specifier: string): string | null {
  const folder = file.split("/")[0] as Folder;
  if (specifier.startsWith("node:")) return null;
  if (!specifier.startsWith(".")) {
    const name = specifier.startsWith("@")
      ? specifier.split("/").slice(0, 2).join("/")
      : (specifier.split("/")[0] ?? "");
    const homes = packageHomes[name];
    if (homes && !homes.some((home) => file.startsWith(home)))
      return `${name} may be imported only in ${homes.join(", ")}`;
    return null;
  }
  const target = normalize(join(dirname(file), specifier))
    .split(sep)
    .join("/");
  const targetFolder = target.split("/")[0] as Folder;
  if (file.startsWith("devices/protocol/") && !target.startsWith("devices/protocol/"))
    return "devices/protocol is a leaf: it imports nothing of ours";
  if (folder === "broker" && targetFolder === "broker") return brokenBrokerRule(file, target);
  if (targetFolder === folder || target.startsWith("devices/protocol/")) return null;
  if (!mayImport[folder]?.includes(targetFolder)) return `${folder}/ may not import ${targetFolder}/`;
  if (isDoorOfKind(file, target)) return null;
  // What settings are read with is a door of its own: whoever only reads them loads neither databases nor
  // brokers.
  if (targetFolder === "bridge")
    return isDoorOfBridge(target)
      ? null
      : "of the bridge import only index.ts of a part, or files beside the parts";
  if (target !== `${targetFolder}/index.ts` && target !== `${targetFolder}/config.ts`)
    return `across folders import only ${targetFolder}/index.ts or ${targetFolder}/config.ts`;
  return null;
}

test("imports go one way, and each third-party package has one home", () => {
  const broken = folders.flatMap(sourceFiles).flatMap((file) =>
    importsOf(readFileSync(join(root, file), "utf8")).flatMap((specifier) => {
      const rule = brokenImportRule(file, specifier);
      return rule ? [`${file} imports ${specifier}: ${rule}`] : [];
    }),
  );
  assert.deepEqual(broken, []);
});

test("the import rule finds what it forbids", () => {
  assert.match(brokenImportRule("bridge/producer.ts", "../broker/index.ts") ?? "", /may not import broker/);
  assert.match(brokenImportRule("gateway/roles.ts", "../bridge/producer/producer.ts") ?? "", /only index/);
  assert.match(brokenImportRule("devices/protocol/a.ts", "../errors.ts") ?? "", /leaf/);
  assert.match(
    brokenImportRule("bridge/lake/consumer/consumer.ts", "aedes") ?? "",
    /aedes may be imported only/,
  );
  assert.equal(brokenImportRule("bridge/producer.ts", "../devices/protocol/backoff.ts"), null);
  assert.equal(brokenImportRule("gateway/roles.ts", "../bridge/lake/index.ts"), null);
  assert.equal(brokenImportRule("gateway/roles.ts", "../bridge/errors.ts"), null);
  assert.match(brokenImportRule("broker/ingest/a.ts", "../mqtt/session.ts") ?? "", /knows no front end/);
  assert.match(
    brokenImportRule("broker/mqtt/a.ts", "../ingest/ingress.ts") ?? "",
    /only broker\/ingest\/index/,
  );
  assert.match(brokenImportRule("broker/http/a.ts", "../mqtt/broker.ts") ?? "", /do not know each other/);
  assert.match(brokenImportRule("broker/ingest/a.ts", "aedes") ?? "", /aedes may be imported only/);
  assert.equal(brokenImportRule("broker/mqtt/aedes/a.ts", "../../ingest/index.ts"), null);
  assert.equal(brokenImportRule("broker/index.ts", "./mqtt/broker.ts"), null);
  const door = "../../../bridge/streams/redis/index.ts";
  assert.equal(brokenImportRule("gateway/streams/redis/a.ts", door), null);
  assert.match(brokenImportRule("gateway/streams/kinesis/a.ts", door) ?? "", /only index/);
});

/** The files of ours that a file imports. */
function targetsOf(file: string): string[] {
  const specifiers = importsOf(readFileSync(join(root, file), "utf8")).filter((each) => each.startsWith("."));
  return specifiers.map((each) =>
    normalize(join(dirname(file), each))
      .split(sep)
      .join("/"),
  );
}

/** Groups of files that import each other, directly or by way of others; types count, too. */
function importCircles(imports: ReadonlyMap<string, readonly string[]>): string[][] {
  const reached = new Map<string, ReadonlySet<string>>();
  for (const file of imports.keys()) {
    const behind = new Set<string>();
    const open = [...(imports.get(file) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (behind.has(next)) continue;
      behind.add(next);
      open.push(...(imports.get(next) ?? []));
    }
    reached.set(file, behind);
  }
  const circles = [...reached].flatMap(([file, behind]) =>
    behind.has(file) ? [[...behind].filter((other) => reached.get(other)?.has(file)).sort()] : [],
  );
  return circles.filter((circle, index) => circles.findIndex((other) => other[0] === circle[0]) === index);
}

test("no files import each other in a circle", () => {
  const files = [...folders, "test"].flatMap(sourceFiles);
  const imports = files.map((file) => [file, targetsOf(file)] as const);
  assert.deepEqual(importCircles(new Map(imports)), []);
});

/**
 * The two folders, or files beside folders, in the folder that holds both files: `a/b` and `a/c` of
 * `a/b/1.ts` and `a/c/d/2.ts`.
 */
function partsOf(file: string, target: string): [string, string] {
  const [from, to] = [file.split("/"), target.split("/")];
  const depth = from.findIndex((name, index) => name !== to[index]) + 1;
  return [from.slice(0, depth).join("/"), to.slice(0, depth).join("/")];
}

/** Imports between the parts of each folder, however deep it lies. */
function partImports(imports: ReadonlyMap<string, readonly string[]>): Map<string, string[]> {
  const parts = new Map<string, string[]>();
  for (const [file, targets] of imports)
    for (const target of targets) {
      const [from, to] = partsOf(file, target);
      if (from !== to) parts.set(from, [...(parts.get(from) ?? []), to]);
    }
  return parts;
}

test("no folders inside a folder import each other in a circle", () => {
  const imports = folders.flatMap(sourceFiles).map((file) => [file, targetsOf(file)] as const);
  assert.deepEqual(importCircles(partImports(new Map(imports))), []);
  const circle = { "a/b/1.ts": ["a/c/1.ts"], "a/c/1.ts": ["a/d.ts"], "a/c/2.ts": ["a/b/2.ts"] };
  assert.deepEqual(importCircles(partImports(new Map(Object.entries(circle)))), [["a/b", "a/c"]]);
  const deep = { "a/b/c/1.ts": ["a/b/d/1.ts"], "a/b/d/e/1.ts": ["a/b/c/2.ts"] };
  assert.deepEqual(importCircles(partImports(new Map(Object.entries(deep)))), [["a/b/c", "a/b/d"]]);
  const layers = { "a/b/1.ts": ["a/c/1.ts", "a/b/2.ts"], "a/c/1.ts": ["a/d.ts"], "a/e.ts": ["a/b/2.ts"] };
  assert.deepEqual(importCircles(partImports(new Map(Object.entries(layers)))), []);
});

test("a circle of imports is found, and a file that imports itself", () => {
  const imports = { a: ["b"], b: ["c", "d"], c: ["a"], d: [], e: ["a", "e"] };
  assert.deepEqual(importCircles(new Map(Object.entries(imports))), [["a", "b", "c"], ["e"]]);
});

/** What is wrong with a file's length, or null. */
function brokenLengthRule(file: string, lines: number): string | null {
  const linesMax = file.startsWith("test/") ? testLinesMax : sourceLinesMax - 1;
  return lines > linesMax ? `${file}: ${lines} lines, at most ${linesMax}` : null;
}

test("no source file has 300 lines, and no test more than 400", () => {
  const broken = [...folders, "test"].flatMap(sourceFiles).flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").split("\n").length - 1;
    return brokenLengthRule(file, lines) ?? [];
  });
  assert.deepEqual(broken, []);
});

test("the length rule finds what it forbids", () => {
  assert.equal(brokenLengthRule("devices/a.ts", 299), null);
  assert.match(brokenLengthRule("devices/a.ts", 300) ?? "", /at most 299/);
  assert.match(brokenLengthRule("test/unit/a.test.ts", 401) ?? "", /at most 400/);
});

/** Module constants that are not in lower camel case. */
function constantsInCapitals(text: string): string[] {
  return [...text.matchAll(/^(?:export )?const ([A-Z][A-Za-z0-9_]*)\b/gm)].map((match) => match[1] ?? "");
}

test("module constants are named like variables", () => {
  const broken = folders
    .flatMap(sourceFiles)
    .flatMap((file) =>
      constantsInCapitals(readFileSync(join(root, file), "utf8")).map((name) => `${file}: ${name}`),
    );
  assert.deepEqual(broken, []);
  assert.deepEqual(constantsInCapitals("export const A_MAX = 1;\nconst B = 2;\nconst inFlightMax = 3;"), [
    "A_MAX",
    "B",
  ]);
});

test("no file is a drawer", () => {
  const drawers = folders
    .flatMap(sourceFiles)
    .filter((file) => /(^|[/-])(utils?|helpers?|common|manager|misc)([.-]|$)/.test(file));
  assert.deepEqual(drawers, []);
});

test("the top level holds only what the layout names", () => {
  const allowed = new Set([...folders, "test", "docs", "dist", "node_modules", "data"]);
  const extra = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !allowed.has(entry.name))
    .map((entry) => entry.name);
  assert.deepEqual(extra, []);
});

test("each error code is unique across folders, and a test or a document asserts it", () => {
  const tests = sourceFiles("test").map((file) => readFileSync(join(root, file), "utf8"));
  const seen = new Map<string, string>();
  const faults: string[] = [];
  for (const file of errorFiles) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, code] of text.matchAll(/^ {2}([A-Z][A-Z0-9_]+): \{/gm)) {
      if (!code) continue;
      if (seen.has(code)) faults.push(`${code} is in ${file} and in ${seen.get(code)}`);
      seen.set(code, file);
      if (!tests.some((test) => test.includes(code))) faults.push(`${file}: no test mentions ${code}`);
    }
  }
  assert.deepEqual(faults, []);
  assert.ok(seen.size > 140, `${seen.size} codes were found`);
});
