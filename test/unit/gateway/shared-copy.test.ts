import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { type GatewayConfig, loadConfig } from "../../../gateway/config.ts";
import { identifyProcess } from "../../../gateway/supervisor/process-identity.ts";
import { writeProcessRecord } from "../../../gateway/supervisor/process-record.ts";
import { refuseSharingCopy } from "../../../gateway/supervisor/shared-copy.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-shared-copy-"));
after(() => rmSync(root, { recursive: true, force: true }));

const original = join(root, "data");
mkdirSync(original);
const supervisor = identifyProcess(process.pid);
assert.ok(supervisor);
writeProcessRecord(original, { supervisor, children: [], api: null });
const copy = join(root, "copy");
cpSync(original, copy, { recursive: true });

function configOf(data: string, settings: Readonly<Record<string, string>>): GatewayConfig {
  const all = Object.entries({ data, ...settings });
  const flags = Object.fromEntries(all.map(([path, text]) => [path, { text, flag: `--${path}` }]));
  return loadConfig({ flags, environment: {}, file: null }).config;
}

const redis = "redis://127.0.0.1:6379/0";
const kinesis = "kinesis://eu-central-1/telemetry";
const bucket = "s3://bucket/lake?region=eu-central-1";
const outside = `file:${join(root, "lake")}`;

for (const [what, settings, mend] of [
  ["embedded stream, lake in a bucket", { "lake.url": bucket }, "--lake"],
  ["embedded stream, lake beside the folder", { "lake.url": outside }, "--lake"],
  ["embedded stream, window on a Redis", { "window.url": redis }, "--window memory:"],
  ["stream on a Redis, lake in the folder", { "stream.url": redis }, "--stream embedded:"],
  [
    "Kinesis, window on a Redis, lake in the folder",
    { "stream.url": kinesis, "window.url": redis },
    "--window",
  ],
] as const)
  test(`a copy is refused, and told what it lacks: ${what}`, () => {
    refuseSharingCopy(configOf(original, settings));
    assert.throws(
      () => refuseSharingCopy(configOf(copy, settings)),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, "FOLDER_COPIED");
        assert.ok(
          error.message.includes(mend) && error.message.includes(`${copy}/processes.json`),
          error.message,
        );
        assert.ok(error.message.includes(`gateway ${process.pid} on `));
        return true;
      },
    );
  });

for (const [what, settings] of [
  ["everything in the folder", {}],
  ["one more gateway on a shared stream and lake", { "stream.url": redis, "lake.url": bucket }],
  ["one more consumer of Kinesis with the same lake", { "stream.url": kinesis, "lake.url": bucket }],
  ["a lake of its own that reads Kinesis", { "stream.url": kinesis }],
] as const)
  test(`a copy may start: ${what}`, () => refuseSharingCopy(configOf(copy, settings)));

test("once its record is removed a copy counts as the original", () => {
  rmSync(join(copy, "processes.json"));
  refuseSharingCopy(configOf(copy, { "lake.url": bucket }));
});
