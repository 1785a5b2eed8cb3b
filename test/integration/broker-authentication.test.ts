import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { BrokerConfig, DeviceRegistry } from "../../broker/index.ts";
import { Devices } from "../../gateway/registry/devices.ts";
import { LmdbRegistry } from "../../gateway/registry/lmdb-registry.ts";
import { StoredDeviceRegistry } from "../../gateway/registry/stored-device-registry.ts";
import { RawMqtt } from "../support/raw-mqtt.ts";
import { startBroker } from "../support/test-broker.ts";
import { until } from "../support/until.ts";

const identity = { name: "by-key", role: "device", topicPrefixes: [] } as const;

/** Slow hashes end when the test allows it. */
class HeldRegistry implements DeviceRegistry {
  /** Names whose slow check has begun. */
  readonly checked: string[] = [];
  readonly #ends: (() => void)[] = [];

  async verify(name: string, secret: Uint8Array) {
    const isRight = Buffer.from(secret).toString() === "right";
    if (name === "by-key" && isRight) return identity;
    return async () => {
      this.checked.push(name);
      await new Promise<void>((resolve) => this.#ends.push(resolve));
      return isRight ? { ...identity, name } : null;
    };
  }

  onRevoked(): void {}

  endNext(): void {
    this.#ends.shift()?.();
  }
}

const withKey = { clientId: "by-key", username: "by-key", password: Buffer.from("right") };
const codeOf = (client: RawMqtt) =>
  (client.of("connack")[0] as { returnCode?: number } | undefined)?.returnCode;

async function guess(
  port: number,
  { name = "by-password", secret = "guess", address = "127.0.0.1" } = {},
): Promise<RawMqtt> {
  const client = await RawMqtt.open(port, address);
  client.connect({ clientId: name, username: name, password: Buffer.from(secret) });
  return client;
}

async function heldBroker(context: TestContext, config: Partial<BrokerConfig>) {
  const registry = new HeldRegistry();
  const server = await startBroker({ registry, config: { anonymous: false, ...config } });
  context.after(async () => {
    const timer = setInterval(() => registry.endNext(), 1);
    await server.broker.stop();
    clearInterval(timer);
  });
  const slowChecks = async (name: string) =>
    Number(
      / (\d+)$/.exec(
        await server.registry.getSingleMetricAsString(`tidegate_broker_slow_checks_${name}`),
      )?.[1],
    );
  return { registry, server, slowChecks };
}

test("a client with the right key is admitted while all places for slow checks are taken", async (context) => {
  const { registry, server } = await heldBroker(context, { authenticationTimeoutMs: 60_000 });
  const guesses = await Promise.all(Array.from({ length: 200 }, () => guess(server.port)));
  await until("the guesses beyond the bound of their address are refused as busy", () => {
    return (server.broker.status().refused["authentication-busy"] ?? 0) === 200 - 32;
  });
  const device = await RawMqtt.connected(server.port, withKey);
  assert.equal(codeOf(device), 0);
  assert.deepEqual(registry.checked, ["by-password", "by-password"], "two checks run, thirty wait");
  for (const client of [device, ...guesses]) client.end();
});

test("a client that hangs up while its password waits is counted and not checked", async (context) => {
  const { registry, server, slowChecks } = await heldBroker(context, {
    authenticationTimeoutMs: 60_000,
    slowChecksMax: 1,
  });
  const first = await guess(server.port);
  await until("the first guess is being checked", () => registry.checked.length === 1);
  const gone = await Promise.all(Array.from({ length: 20 }, () => guess(server.port, { name: "gone" })));
  await until("they wait", async () => (await slowChecks("waiting")) === 20);
  // One of these clients had sent more than CONNECT.
  gone[0]?.publish("fleet/gone/telemetry", "x");
  for (const client of gone) client.socket.end();
  const other = await guess(server.port, { name: "other", secret: "right", address: "127.0.0.2" });
  const late = await guess(server.port, { name: "late", secret: "right" });
  await until("all wait", async () => (await slowChecks("waiting")) === 22);
  const isAnswered = () => codeOf(late) !== undefined && codeOf(other) !== undefined;
  while (!isAnswered()) {
    registry.endNext();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual([codeOf(other), codeOf(late)], [0, 0]);
  assert.deepEqual(registry.checked.toSorted(), ["by-password", "late", "other"]);
  const { refused } = server.broker.status();
  assert.deepEqual(refused, { credentials: 1, "authentication-abandoned": 20 });
  assert.equal(await slowChecks("total"), 3);
  for (const client of [first, other, late]) client.end();
});

test("200 wrong passwords whose clients hang up do not delay a key, and cost the broker only a few hashes", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-authentication-"));
  const store = await LmdbRegistry.openForWriting(folder);
  const devices = new Devices({ store, now: () => 0, revoked: async () => {} });
  const { key } = await devices.add({ name: "by-key" });
  await devices.add({ name: "by-password", password: "correct horse" });
  const server = await startBroker({
    registry: new StoredDeviceRegistry(store),
    config: { anonymous: false },
  });
  context.after(async () => {
    await server.broker.stop();
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const names = ["by-password", "by-key", "nobody"];
  const strangers = await Promise.all(Array.from({ length: 200 }, () => RawMqtt.open(server.port)));
  for (const [index, { socket }] of strangers.entries()) {
    const username = names[index % names.length] ?? "";
    strangers[index]?.connect({ clientId: username, username, password: Buffer.from("guess") });
    socket.end();
  }
  const refusals = () => Object.values(server.broker.status().refused).reduce((sum, count) => sum + count, 0);
  const device = await RawMqtt.connected(server.port, { ...withKey, password: Buffer.from(key ?? "") });
  assert.equal(codeOf(device), 0);
  assert((server.broker.status().refused["credentials"] ?? 0) < 20, "the key did not wait");
  await until("every guess is counted", () => refusals() === 200);
  const { refused } = server.broker.status();
  assert((refused["credentials"] ?? 0) < 100, JSON.stringify(refused));
  const edge = await guess(server.port, { secret: "correct horse" });
  await edge.until(() => codeOf(edge) === 0);
  for (const client of [device, edge]) client.end();
});
