import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { quarantineReasons } from "../../../bridge/decoders/index.ts";
import { mqttAnswers } from "../../../broker/mqtt/mqtt-refusals.ts";
import { configSchema } from "../../../gateway/config/config-schema.ts";
import { settingsOf } from "../../../gateway/settings/settings-schema.ts";
import { documentFiles, documentText, proseOf } from "../../support/documents.ts";

const root = join(import.meta.dirname, "..", "..", "..");
const sourceFolders = ["devices", "broker", "bridge", "simulator", "gateway"];
// Decisions and the changelog tell of their time.
const pages = documentFiles().filter((file) => !/^(docs\/decisions\/\d|CHANGELOG)/.test(file));

const sources = sourceFolders
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`),
  )
  .filter((file) => file.endsWith(".ts"))
  .map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));

/** Code spans of a page that look like names of a kind. */
function named(file: string, pattern: RegExp): string[] {
  const spans = [...proseOf(documentText(file)).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
  return spans.filter((span) => pattern.test(span));
}

test("every setting that a document names exists", () => {
  const paths = settingsOf(configSchema).map(({ path }) => path);
  const sections = new Set(paths.map((path) => path.split(".")[0]));
  const isSetting = (span: string) =>
    sections.has(span.split(".")[0]) &&
    !/\.(ts|md|json|toml)$/.test(span) &&
    /^[a-z0-9]+\.[a-zA-Z0-9]+$/.test(span);
  const unknown = pages.flatMap((file) =>
    named(file, /^[a-z0-9]+\.[a-zA-Z0-9]+$/)
      .filter((span) => isSetting(span) && !paths.includes(span))
      .map((span) => `${file}: ${span}`),
  );
  assert.deepEqual(unknown, []);
});

test("every error code that a document names is in a list of codes", () => {
  const lists = sources.filter(({ file }) =>
    /\/(errors(\.ts|\/.*)|protocol-error\.ts|partition-halt\.ts)$/.test(file),
  );
  const codes = new Set(lists.flatMap(({ text }) => text.match(/\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b/g) ?? []));
  assert.ok(codes.size > 100);
  const prefixes = new Set([...codes].map((code) => code.split("_")[0]));
  const unknown = pages.flatMap((file) =>
    named(file, /^[A-Z0-9]+_[A-Z0-9_]+$/)
      .filter((span) => !span.startsWith("TIDEGATE_"))
      .filter((span) => prefixes.has(span.split("_")[0]) && !codes.has(span))
      .map((span) => `${file}: ${span}`),
  );
  assert.deepEqual(unknown, []);
});

test("every metric that a document names is in the sources, whole or after the beginning that its file adds", () => {
  const all = sources.map(({ text }) => text).join("\n");
  const beginnings = ["", ...[...all.matchAll(/`(tidegate_[a-z_]+_)\$\{/g)].map((match) => match[1] ?? "")];
  const isDefined = (metric: string) =>
    beginnings.some((each) => metric.startsWith(each) && all.includes(`"${metric.slice(each.length)}"`));
  const unknown = pages.flatMap((file) =>
    named(file, /^tidegate_[a-z0-9_]+(\{.*\})?$/)
      .filter((span) => !isDefined(span.replace(/\{.*/, "")))
      .map((span) => `${file}: ${span}`),
  );
  assert.deepEqual(unknown, []);
});

test("docs/topics.md explains every reason of the quarantine, docs/devices.md every refusal", () => {
  const rows = (file: string) =>
    documentText(file)
      .split("\n")
      .filter((line) => line.startsWith("|"))
      .join("\n");
  const lacking = (file: string, reasons: readonly string[]) =>
    reasons.filter((reason) => !rows(file).includes(`\`${reason}\``));
  assert.deepEqual(lacking("docs/topics.md", quarantineReasons), []);
  assert.deepEqual(lacking("docs/devices.md", Object.keys(mqttAnswers)), []);
});
