import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import type { KinesisConfig } from "../../../../bridge/streams/kinesis/kinesis-config.ts";
import { configSettings, loadConfig } from "../../../../gateway/config/load-config.ts";
import { GatewayError } from "../../../../gateway/errors.ts";
import { expectedText } from "../../../../gateway/schema/schema-words.ts";
import { withSections } from "../../../../gateway/settings/gateway-config.ts";
import type { ConfigFault } from "../../../../gateway/settings/settings-sources.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-config-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function fileWith(text: string): string {
  const file = join(mkdtempSync(join(folder, "f-")), "tidegate.toml");
  writeFileSync(file, text);
  return file;
}

function load(sources: {
  flags?: Record<string, string>;
  environment?: Record<string, string>;
  file?: string | null;
}) {
  const flags = Object.fromEntries(
    Object.entries(sources.flags ?? {}).map(([path, text]) => [path, { text, flag: `--${path}` }]),
  );
  return loadConfig({ flags, environment: sources.environment ?? {}, file: sources.file ?? null });
}

function faultsOf(sources: Parameters<typeof load>[0]): readonly ConfigFault[] {
  try {
    load(sources);
  } catch (error) {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, "CONFIG_INVALID");
    const faults = error.details["faults"] as ConfigFault[];
    for (const fault of faults) assert.ok(error.message.includes(fault.path), "the message names each fault");
    return faults;
  }
  return assert.fail("no fault was found");
}

describe("configuration", () => {
  test("the defaults are valid, absolute and frozen at every level", () => {
    const { config, origins } = load({});
    assert.equal(config.http.port, 8080);
    assert.equal(config.mqtt.port, 1883);
    assert.equal(config.folders.data, resolve("data"));
    assert.equal(config.folders.lake, resolve("data/lake"));
    assert.ok([...origins.values()].every((origin) => origin === "default"));
    assert.throws(() => {
      (config.http as { port: number }).port = 1;
    }, TypeError);
  });

  test("flags win over the environment, the environment over the file, the file over the defaults", () => {
    const file = fileWith(
      'data = "from-file"\n[http]\nport = 1001\nbodyMaxBytes = 2048\n[log]\nlevel = "warn"\n',
    );
    const environment = { TIDEGATE_HTTP_PORT: "1002", TIDEGATE_LOG_LEVEL: "error" };
    const { config, origins } = load({ flags: { "http.port": "1003" }, environment, file });
    assert.equal(config.http.port, 1003);
    assert.equal(config.log.level, "error");
    assert.equal(config.http.bodyMaxBytes, 2048);
    assert.equal(config.data, "from-file");
    assert.equal(config.folders.lake, resolve("from-file/lake"));
    assert.equal(origins.get("http.port"), "--http.port");
    assert.equal(origins.get("log.level"), "TIDEGATE_LOG_LEVEL");
    assert.equal(origins.get("data"), file);
  });

  test("all faults of all sources are reported at once, with path, value, expectation and correction", () => {
    const file = fileWith('[http]\nport = "eighty"\nprot = 1\n[topics]\ndemo = 3\n');
    const environment = {
      TIDEGATE_SHUTDOWN_TIMEOUT_MS: "abc",
      TIDEGATE_LOG_LEVL: "info",
      TIDEGATE_STREAM_URL: "kinesis://eu-west-1",
      TIDEGATE_MQTT_PLAIN_FILTERS: "cmd/#,a#",
    };
    const faults = faultsOf({
      flags: { "lake.url": "s3://id:topsecret@bucket/prefix", data: "" },
      environment,
      file,
    });
    const byPath = new Map(faults.map((fault) => [fault.path, fault]));
    assert.deepEqual([...byPath.keys()].sort(), [
      "TIDEGATE_LOG_LEVL",
      "data",
      "http.port",
      "http.prot",
      "lake.url",
      "mqtt.plainFilters",
      "shutdown.timeoutMs",
      "stream.url",
      "topics.demo",
    ]);
    assert.equal(byPath.get("http.port")?.value, "eighty");
    assert.match(byPath.get("http.port")?.expected ?? "", /whole number from 0 to 65535/);
    assert.match(byPath.get("http.port")?.mend ?? "", /tidegate\.toml/);
    assert.match(byPath.get("http.prot")?.mend ?? "", /did you mean http\.port/);
    assert.match(byPath.get("TIDEGATE_LOG_LEVL")?.mend ?? "", /did you mean TIDEGATE_LOG_LEVEL/);
    assert.match(byPath.get("shutdown.timeoutMs")?.mend ?? "", /TIDEGATE_SHUTDOWN_TIMEOUT_MS/);
    assert.equal(byPath.get("mqtt.plainFilters")?.value, "a#");
    assert.match(byPath.get("mqtt.plainFilters")?.mend ?? "", /MQTT-4\.7\.1-2/);
    assert.match(byPath.get("stream.url")?.mend ?? "", /it names no stream. Write kinesis:/);
    assert.match(byPath.get("lake.url")?.mend ?? "", /must not contain credentials.*AWS_PROFILE/);
    assert.doesNotMatch(JSON.stringify(faults), /topsecret/);
  });

  test("misplaced URLs of backends and malformed URLs are refused with what to write", () => {
    const mends = (flags: Record<string, string>) => faultsOf({ flags }).map((fault) => fault.mend);
    assert.match(mends({ "window.url": "kinesis://eu-west-1/s" }).join(), /Kinesis names no backend here/);
    assert.match(
      mends({ "stream.url": "kinesis://id:topsecret@eu-west-1/s" }).join(),
      /must hold no credentials/,
    );
    assert.match(
      mends({ "window.url": "embedded:" }).join(),
      /embedded stream names no backend here.*memory:/,
    );
    assert.match(mends({ "stream.url": "memory:" }).join(), /Memory names no backend here.*embedded:/);
    assert.match(
      mends({ "stream.url": "redis://localhost/one" }).join(),
      /one is not the number of a database/,
    );
    assert.match(mends({ "window.url": "redis://localhost?colour=red" }).join(), /no parameter colour/);
    assert.match(mends({ "window.url": "postgres://x" }).join(), /names no backend/);
    assert.match(mends({ "lake.url": "file:" }).join(), /name a folder/);
  });

  test("a stream in Kinesis has its window in memory unless a Redis is named", () => {
    const flags = { "stream.url": "kinesis://eu-west-1/s?endpoint=http://127.0.0.1:4567" };
    const { config } = load({ flags });
    const { stream, window } = config.backends;
    assert.deepEqual(stream, {
      kind: "kinesis",
      kinesis: { region: "eu-west-1", streamName: "s", endpoint: "http://127.0.0.1:4567/" },
    });
    assert.deepEqual(
      [window.kind, config.window.url, withSections<{ kinesis: KinesisConfig }>(config).kinesis.create],
      ["memory", "memory:", false],
    );
    assert.equal(config.consumer.maxBatchAgeMs, 60_000);
    const shared = load({ flags: { ...flags, "window.url": "redis://127.0.0.1:1/0" } }).config.backends;
    assert.equal(shared.window.kind, "redis");
    const [split] = faultsOf({ flags: { "stream.url": "kinesis://eu-west-1/s", roles: "broker" } });
    assert.match(split?.mend ?? "", /set window.url to a Redis/);
    load({ flags: { "stream.url": "kinesis://eu-west-1/s", "window.url": "redis://h", roles: "broker" } });
  });

  test("a lake folder may be given as file:DIR and file:///DIR", () => {
    assert.equal(load({ flags: { "lake.url": "file:some/lake" } }).config.folders.lake, resolve("some/lake"));
    assert.equal(load({ flags: { "lake.url": "file:///srv/lake" } }).config.folders.lake, "/srv/lake");
  });

  test("a lake may be in S3, and is named the same for every other command", () => {
    const url = "s3://bucket/my/lake?endpoint=http://127.0.0.1:9000&region=eu-west-1";
    const { config } = load({ flags: { "lake.url": url, data: "d" } });
    assert.equal(config.folders.lake, null);
    assert.equal(config.folders.lakeFiles, resolve("d/lake-files"));
    assert.deepEqual(config.lakeTarget, {
      kind: "s3",
      s3: {
        bucket: "bucket",
        prefix: "my/lake",
        endpoint: "http://127.0.0.1:9000",
        region: "eu-west-1",
        isPathStyle: true,
      },
    });
    assert.match(config.flags.working, / --lake 's3:\/\/bucket\/my\/lake\?endpoint=http%3A/);
    assert.deepEqual(
      faultsOf({ flags: { "lake.url": "s3://b/x", "s3.kmsKeyId": "key" } }).map(({ path }) => path),
      ["lake.url", "s3.kmsKeyId"],
    );
    assert.match(faultsOf({ flags: { "lake.url": "ftp://x" } })[0]?.mend ?? "", /names no backend here.*s3:/);
  });

  test("the HTTP API leaves loopback only if two settings allow it", () => {
    assert.equal(faultsOf({ flags: { "http.host": "0.0.0.0" } })[0]?.path, "http.host");
    const environment = { TIDEGATE_HTTP_ALLOW_REMOTE: "true" };
    assert.equal(load({ flags: { "http.host": "0.0.0.0" }, environment }).config.http.host, "0.0.0.0");
  });

  test("a missing or malformed file is a fault, not a crash", () => {
    assert.equal(faultsOf({ file: join(folder, "nowhere.toml") })[0]?.path, "--config");
    assert.match(faultsOf({ file: fileWith("[http\nport = 1") })[0]?.expected ?? "", /TOML/);
  });

  test("variables of a container platform for a service named tidegate are not settings", () => {
    const environment = {
      TIDEGATE_SERVICE_HOST: "10.0.0.1",
      TIDEGATE_PORT: "tcp://10.0.0.1:1883",
      TIDEGATE_PORT_1883_TCP_ADDR: "10.0.0.1",
      TIDEGATE_TOKEN: "secret",
    };
    assert.doesNotThrow(() => load({ environment }));
  });

  test("every setting says what it means and what it expects, and no two share a variable", () => {
    const settings = configSettings();
    for (const { path, schema } of settings) {
      assert.ok(String(schema["description"] ?? "").length > 10, `${path} has no description`);
      assert.notEqual(expectedText(schema), "", `${path} does not say what it expects`);
    }
    assert.equal(new Set(settings.map(({ variable }) => variable)).size, settings.length);
  });
});
