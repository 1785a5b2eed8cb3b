import assert from "node:assert/strict";
import { test } from "node:test";
import { quarantines } from "../../../bridge/decoders/quarantine-reason.ts";
import { bridgeErrors } from "../../../bridge/errors.ts";
import { haltCodes } from "../../../bridge/tail/partition-halt.ts";
import { brokerErrors } from "../../../broker/errors.ts";
import { refusals } from "../../../broker/ingest/refusal.ts";
import { mqttAnswers, mqttRefusals } from "../../../broker/mqtt/mqtt-refusals.ts";
import { deviceErrors } from "../../../devices/errors.ts";
import type { ErrorEntry } from "../../../devices/protocol/error-entry.ts";
import { protocolErrors } from "../../../devices/protocol/protocol-error.ts";
import { usageCodes } from "../../../gateway/cli/command-context.ts";
import { gatewayErrors } from "../../../gateway/errors.ts";
import { usageCodes as simulatorUsageCodes } from "../../../simulator/command/commands.ts";
import { simulatorErrors } from "../../../simulator/errors.ts";
import { errorGroups } from "../../support/reference/error-catalogue.ts";
import { sourceTexts } from "../../support/reference/source-files.ts";

const sources = sourceTexts();

/** Words that look like codes and are names of others: AWS, Node.js, Fastify, our variables. */
const otherNames = new Set([
  "AFTER_SEQUENCE_NUMBER",
  "CURRENT_DEFAULT",
  "JSON_LEVELS_MAX",
  "ON_DEMAND",
  "PROVE_CLOCK_FILE",
  "TRIM_HORIZON",
  "UNIFORM_SCALING",
  "WHEN_REQUIRED",
  "WHEN_SUPPORTED",
]);
const otherPrefix = /^(AWS|ERR|FST_ERR|TIDEGATE)_/;
/** Codes of one word can't be told from other constants, unless the catalogue has them. */
const code = /"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|USAGE|UNEXPECTED)"/g;

const listed = errorGroups.flatMap(({ entries }) => Object.keys(entries));
const entries: Readonly<Record<string, ErrorEntry>> = {
  ...deviceErrors,
  ...protocolErrors,
  ...brokerErrors,
  ...bridgeErrors,
  ...gatewayErrors,
  ...simulatorErrors,
};

test("every code that the source uses is in the catalogue, once, and no other", () => {
  const used = new Set(sources.flatMap((text) => [...text.matchAll(code)].map(([, found]) => found)));
  const codes = [...used].filter((found) => found && !otherNames.has(found) && !otherPrefix.test(found));
  assert.deepEqual(codes.sort(), [...listed].sort());
  assert.deepEqual([...listed].sort(), Object.keys(entries).sort());
});

test("codes of partitions that stand, and of wrong usage, are codes of the catalogue", () => {
  for (const found of [...haltCodes, ...usageCodes, ...simulatorUsageCodes])
    assert.ok(found in entries, found);
});

test("the catalogue says of trying again what the errors themselves say", () => {
  const wrong: string[] = [];
  assert.ok(sources.flatMap(raisedIn).length > 100);
  for (const text of sources)
    for (const [, raised, retryable] of raisedIn(text))
      if (entries[raised ?? ""]?.retry === (retryable === "true" ? "no" : "yes"))
        wrong.push(`${raised} is raised with retryable: ${retryable}`);
  assert.deepEqual(wrong, []);
});

test("raised errors are found with what they say of trying again", () => {
  const text = [
    'new BridgeError("A_B", `x`, {\n retryable: true })',
    'new GatewayError("C_D", text, options)',
    'new FoundError("E_F", "", { retryable: false })',
    '{\n code: "G_H",\n retryable: false,\n mend }',
    '{ code: "I_J", position }; { retryable: true }',
  ].join("; ");
  const found = raisedIn(text).map(([, raised, retryable]) => [raised, retryable]);
  assert.deepEqual(found, [
    ["A_B", "true"],
    ["E_F", "false"],
    ["G_H", "false"],
  ]);
});

test("every refusal of MQTT, and of the core as MQTT makes it, says what the client sees", () => {
  // MQTT stops reading instead, and takes these messages for publish/subscribe.
  const neverMade = ["in-flight-limit", "not-telemetry"];
  const made = Object.keys({ ...refusals, ...mqttRefusals }).filter((name) => !neverMade.includes(name));
  assert.deepEqual(Object.keys(mqttAnswers).toSorted(), made.toSorted());
});

test("each text is of whole sentences that can be read at once", () => {
  const texts = [
    ...Object.entries(entries),
    ...Object.entries(refusals),
    ...Object.entries(mqttRefusals),
    ...Object.entries(quarantines),
  ].flatMap(([code, { meaning, remedy }]) => [meaning, remedy].map((text) => ({ code, text })));
  for (const { code, text } of texts) {
    assert.match(text, /^(?=[A-Z`a-z]).*\.$/, code);
    for (const sentence of text.split(/[.:;] /))
      assert.ok(sentence.split(" ").length <= 25, `${code}: too long: ${sentence}`);
  }
});

/** Errors, and tables of them, in which code and `retryable` both stand literally. */
function raisedIn(text: string): RegExpExecArray[] {
  const call = /new \w+Error\(\s*"([A-Z0-9_]+)",(?:(?!new \w+Error\()[\s\S]){0,800}?retryable: (true|false)/g;
  const row = /code: "([A-Z0-9_]+)",\s*retryable: (true|false)/g;
  return [...text.matchAll(call), ...text.matchAll(row)];
}
