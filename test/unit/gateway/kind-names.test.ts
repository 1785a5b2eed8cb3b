import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { lakeKinds } from "../../../gateway/lakes/lake-kinds.ts";
import { baseSchema } from "../../../gateway/settings/base-schema.ts";
import { streamKinds } from "../../../gateway/streams/stream-kinds.ts";
import { windowKinds } from "../../../gateway/windows/window-kinds.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/**
 * Places that may name kinds: the folder of each kind, the folder shared by kinds on a Redis, and the
 * registries.
 */
const kindPlaces =
  /^gateway\/(?:(?:streams|windows|lakes)\/(?:\w+\/|(?:stream|window|lake)-kinds\.ts)|redis\/)/;

/** Other files that name a kind, and why. */
const exceptions: Readonly<Record<string, string>> = {
  "gateway/registry/": "a registry has kinds of its own: in the data folder, or on a Redis",
  "gateway/errors.ts": "texts that explain errors",
  "gateway/errors/": "texts that explain errors",
  "gateway/cli/command-examples.ts": "examples",
  "gateway/settings/gateway-schema.ts": "descriptions of settings",
  "gateway/migrate/": "texts of errors, with an example",
  "gateway/supervisor/run-gateway.ts": "a text of an error",
};

/** Everyday words. They count as names of kinds only as a whole text, or with the colon of a URL. */
const everydayWords = new Set(["file", "memory"]);

const names = [...streamKinds, ...windowKinds, ...lakeKinds].map(({ name }) => {
  if (everydayWords.has(name)) return `["'\`]${name}[:"'\`]`;
  return name.length > 3 ? name : `\\b${name}\\b`;
});
const anyName = new RegExp(names.join("|"), "i");

function sourceFiles(): string[] {
  return readdirSync(join(root, "gateway"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => `gateway/${file}`);
}

function namesKind(text: string): boolean {
  return anyName.test(text.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ""));
}

test("no file of the gateway names a kind of stream, window or lake, except its folder and the registries", () => {
  const naming = sourceFiles().filter(
    (file) => !kindPlaces.test(file) && namesKind(readFileSync(join(root, file), "utf8")),
  );
  const excused = (file: string) => Object.keys(exceptions).find((place) => file.startsWith(place));
  assert.deepEqual(
    naming.filter((file) => !excused(file)),
    [],
  );
  assert.deepEqual(
    Object.keys(exceptions).filter((place) => !naming.some((file) => file.startsWith(place))),
    [],
    "exceptions that are needed no more",
  );
});

test("a name is found as a text, in a name of code and in a URL, and not in a comment or another word", () => {
  for (const text of ['kind === "embedded"', "isRedis(x)", "config.kinesis.create", '"file:" + x', "`s3://`"])
    assert.equal(namesKind(text), true, text);
  for (const text of ["// Redis", "/** in Kinesis */", "readonly file: string", "the memory of", "css3d"])
    assert.equal(namesKind(text), false, text);
});

test("kinds of one registry take nothing from each other, nor from the settings that all gateways have", () => {
  for (const kinds of [streamKinds, windowKinds, lakeKinds]) {
    const once = (what: string, texts: readonly string[]) =>
      assert.equal(new Set(texts).size, texts.length, `${what}: ${texts.join(", ")}`);
    once(
      "names",
      kinds.map(({ name }) => name),
    );
    once(
      "schemes",
      kinds.flatMap(({ schemes }) => schemes),
    );
  }
  const members = streamKinds.map(({ status }) => status.name);
  assert.equal(new Set([...members, "replacement"]).size, members.length + 1, members.join(", "));
  const sections = [...streamKinds, ...windowKinds, ...lakeKinds].flatMap((kind) =>
    Object.entries(kind.sections),
  );
  const known = new Map<string, unknown>(Object.entries(baseSchema.properties));
  for (const [name, schema] of sections) {
    assert.ok(!known.has(name) || known.get(name) === schema, `section ${name}`);
    known.set(name, schema);
  }
});
