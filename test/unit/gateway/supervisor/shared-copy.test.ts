import assert from "node:assert/strict";
import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { identifyProcess } from "../../../../devices/protocol/process-identity.ts";
import { type GatewayConfig, loadConfig } from "../../../../gateway/config/load-config.ts";
import { writeProcessRecord } from "../../../../gateway/data-folder/process-record.ts";
import { placesOf } from "../../../../gateway/supervisor/gateway-places.ts";
import { refuseSharingCopy } from "../../../../gateway/supervisor/shared-copy.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-shared-copy-"));
after(() => rmSync(root, { recursive: true, force: true }));
const supervisor = identifyProcess(process.pid);
assert.ok(supervisor);

type Settings = Readonly<Record<string, string>>;

function configOf(data: string, settings: Settings): GatewayConfig {
  const all = Object.entries({ data, ...settings });
  const flags = Object.fromEntries(all.map(([path, text]) => [path, { text, flag: `--${path}` }]));
  return loadConfig({ flags, environment: {}, file: null }).config;
}

/** The folder of a gateway with these settings, and a copy of it, with the lake if that is inside. */
function copied(settings: Settings): { original: string; copy: string } {
  const place = mkdtempSync(join(root, "case-"));
  const original = join(place, "data");
  mkdirSync(join(original, "lake"), { recursive: true });
  const uses = placesOf(configOf(original, settings));
  writeProcessRecord(original, { supervisor: supervisor ?? assert.fail(), children: [], api: null, uses });
  const copy = join(place, "copy");
  cpSync(original, copy, { recursive: true });
  return { original, copy };
}

const redis = "redis://127.0.0.1:6379/0";
const otherPrefix = `${redis}?prefix=drill`;
const kinesis = "kinesis://eu-central-1/telemetry";
const bucket = "s3://bucket/lake?region=eu-central-1";
const outside = join(root, "lake");
mkdirSync(outside);
const otherOutside = join(root, "copied lake");
mkdirSync(otherOutside);

for (const { what, settings, mend, instead } of [
  {
    what: "embedded stream, lake in a bucket",
    settings: { "lake.url": bucket },
    mend: "--lake",
    instead: { "lake.url": "s3://bucket/drill?region=eu-central-1" },
  },
  {
    what: "embedded stream, lake beside the folder",
    settings: { "lake.url": `file:${outside}` },
    mend: "--lake",
    instead: { "lake.url": `file:${otherOutside}` },
  },
  {
    what: "embedded stream, window on a Redis",
    settings: { "window.url": redis },
    mend: "--window memory:",
    instead: { "window.url": otherPrefix },
  },
  {
    what: "stream on a Redis, lake in the folder",
    settings: { "stream.url": redis },
    mend: "?prefix=NAME",
    instead: { "stream.url": otherPrefix },
  },
  {
    what: "Kinesis, window on a Redis, lake in the folder",
    settings: { "stream.url": kinesis, "window.url": redis },
    mend: "--window memory:",
    instead: { "stream.url": kinesis },
  },
] as const)
  test(`a copy is refused with what it needs, and starts once it has it: ${what}`, () => {
    const { original, copy } = copied(settings);
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
    refuseSharingCopy(configOf(copy, instead));
    rmSync(join(copy, "processes.json"));
    refuseSharingCopy(configOf(copy, settings));
  });

for (const [what, settings] of [
  ["everything in the folder", {}],
  ["one more gateway on a shared stream and lake", { "stream.url": redis, "lake.url": bucket }],
  ["one more consumer of Kinesis with the same lake", { "stream.url": kinesis, "lake.url": bucket }],
  ["a lake of its own that reads Kinesis", { "stream.url": kinesis }],
] as const)
  test(`a copy may start: ${what}`, () => refuseSharingCopy(configOf(copied(settings).copy, settings)));
