import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { OnRedis } from "../../../../bridge/config.ts";
import { shownTitle, shownUrl } from "../../../../devices/protocol/shown-url.ts";
import { type GatewayConfig, loadConfig } from "../../../../gateway/config/load-config.ts";
import { GatewayError } from "../../../../gateway/errors.ts";
import { runCommand } from "../../../support/gateway-process.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-redis-settings-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const secret = "pa55word";

function load(settings: Record<string, string>) {
  const flags = Object.entries(settings).map(([path, text]) => [path, { text, flag: `--${path}` }]);
  return loadConfig({ flags: Object.fromEntries(flags), environment: {}, file: null });
}

function errorOf(settings: Record<string, string>): GatewayError {
  try {
    load(settings);
  } catch (error) {
    assert.ok(error instanceof GatewayError);
    return error;
  }
  return assert.fail("no fault was found");
}

const faultsOf = (settings: Record<string, string>) =>
  (errorOf(settings).details["faults"] as { path: string; mend: string }[]).map(({ path }) => path);

function redisOf(config: GatewayConfig, section: "stream" | "window") {
  const target = config.backends[section];
  assert.equal(target.kind, "redis");
  return (target as OnRedis).redis;
}

describe("settings of Redis", () => {
  test("the window and the age of batches follow the stream by default", () => {
    const { config, origins } = load({ "stream.url": "redis://h:1/2?prefix=p" });
    assert.deepEqual(redisOf(config, "window"), redisOf(config, "stream"));
    assert.equal(config.window.url, "redis://h:1/2?prefix=p");
    assert.equal(origins.get("window.url"), "default: the stream's Redis");
    assert.equal(config.consumer.maxBatchAgeMs, 60_000);
    assert.equal(origins.get("consumer.maxBatchAgeMs"), "default with redis");
    const said = load({
      "stream.url": "redis://h:1",
      "window.url": "memory:",
      "consumer.maxBatchAgeMs": "5000",
    });
    assert.deepEqual(said.config.backends.window, { kind: "memory" });
    assert.equal(said.config.consumer.maxBatchAgeMs, 5_000);
    const embedded = load({}).config;
    assert.deepEqual(embedded.backends, { stream: { kind: "embedded" }, window: { kind: "memory" } });
    assert.equal(embedded.consumer.maxBatchAgeMs, 5_000);
    assert.equal(load({ "window.url": "redis://h" }).config.backends.stream.kind, "embedded");
  });

  test("a password may come from the URL, a setting or a file, and is given once for one server", () => {
    const file = join(folder, "password");
    writeFileSync(file, `${secret}\nsecond line\n`);
    const stream = "redis://user@h:1/0";
    for (const given of [
      { "stream.url": `redis://user:${secret}@h:1/0` },
      { "stream.url": stream, "stream.password": secret },
      { "stream.url": stream, "stream.passwordFile": file },
    ]) {
      const { config } = load({ ...given, "window.url": "redis://h:1/3" });
      assert.equal(redisOf(config, "stream").password, secret);
      assert.equal(redisOf(config, "window").password, secret);
      assert.equal(redisOf(config, "window").username, "user");
    }
    const apart = load({ "stream.url": stream, "stream.password": secret, "window.url": "redis://other" });
    assert.equal(redisOf(apart.config, "window").password, undefined);
  });

  test("contradictory settings are refused, all at once", () => {
    const twice = { "stream.url": "redis://:a@h", "stream.password": "b" };
    const useless = { "window.url": "memory:", "window.password": "c" };
    const missing = join(folder, "nowhere");
    assert.deepEqual(faultsOf({ ...twice, ...useless }).sort(), ["stream.password", "window.password"]);
    assert.deepEqual(faultsOf({ "stream.url": "redis://h", "stream.passwordFile": missing }), [
      "stream.passwordFile",
    ]);
    assert.deepEqual(faultsOf({ "stream.password": "x" }), ["stream.password"]);
    assert.deepEqual(faultsOf({ "stream.url": "redis://h", "window.password": "x" }), ["window.password"]);
    assert.deepEqual(faultsOf({ roles: "broker" }), ["roles"]);
    assert.deepEqual(faultsOf({ roles: "broker,cook" }), ["roles"]);
    assert.deepEqual(load({ "stream.url": "redis://h", roles: "consumer" }).config.roles, ["consumer"]);
  });

  test("no fault shows a password, however malformed the URL", () => {
    for (const url of [
      `redis://:${secret}@h/one`,
      `redis://${secret}@h/one`,
      `redis://user:${secret}/x@h:port`,
      `redis://u:${secret}@x@h/one`,
      `redis://h?password=${secret}`,
      `postgres://u:${secret}@h`,
      `redis://u:${secret}%@h`,
    ]) {
      const error = errorOf({ "stream.url": url, "window.url": url });
      assert.equal(JSON.stringify([error.message, error.details]).includes(secret), false, url);
    }
    const error = errorOf({ "stream.password": secret });
    assert.equal(JSON.stringify([error.message, error.details]).includes(secret), false);
  });

  test("config print shows the effective settings, and no password", async () => {
    const url = `redis://user:${secret}@h:1/0`;
    const printed = await runCommand(["config", "print", "--stream", url, "--window", `redis://${secret}@w`]);
    assert.equal(printed.code, 0);
    assert.equal(printed.stdout.includes(secret), false);
    assert.match(printed.stdout, /url = "redis:\/\/user:\*\*\*@h:1\/0"/);
    assert.match(printed.stdout, /maxBatchAgeMs = 60000/);
    assert.match(printed.stdout, /default with redis/);
    const json = await runCommand(["config", "print", "--stream", url, "--json"]);
    assert.equal(json.stdout.includes(secret), false);
  });

  test("a title and a URL are shown without secrets", () => {
    assert.equal(shownTitle(["node", "main.js", "up", "--data", "d"]), null);
    const shown = shownTitle([
      "main.js",
      "up",
      "--stream",
      `redis://u:${secret}@h`,
      `--window=redis://:${secret}@h`,
    ]);
    assert.equal(shown, "main.js up --stream redis://u:***@h --window=redis://:***@h");
    assert.equal(shownUrl("redis://h:6379/0?prefix=p"), "redis://h:6379/0?prefix=p");
  });
});
