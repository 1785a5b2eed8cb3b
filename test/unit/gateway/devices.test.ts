import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { Devices } from "../../../gateway/registry/devices.ts";
import { LmdbRegistry } from "../../../gateway/registry/lmdb-registry.ts";
import { StoredDeviceRegistry } from "../../../gateway/registry/stored-device-registry.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegate-devices-"));
const store = await LmdbRegistry.openForWriting(folder);
const reading = LmdbRegistry.openForReading(folder);
after(async () => {
  await reading.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

const revoked: string[] = [];
const devices = new Devices({
  store,
  now: () => 5,
  revoked: async (name) => {
    revoked.push(name);
  },
});
const registry = new StoredDeviceRegistry(reading);
const secret = (text: string) => Buffer.from(text);

describe("devices", () => {
  test("a key has 256 random bits, opens the door, and is not to be found in the registry", async () => {
    const { device, key } = await devices.add({ name: "press-7" });
    assert.deepEqual(device, {
      name: "press-7",
      role: "device",
      topicPrefixes: [],
      secret: "key",
      createdAtMs: 5,
    });
    assert.match(key ?? "", /^tgk_[\w-]{43}$/);
    assert.deepEqual(await registry.verify("press-7", secret(key ?? "")), {
      name: "press-7",
      role: "device",
      topicPrefixes: [],
    });
    assert.equal(await registry.verify("press-7", secret(`${key}x`)), null);
    assert.equal(await registry.verify("press-8", secret(key ?? "")), null);
    assert.equal(
      await registry.verify("press-8", secret("")),
      null,
      "not even the secret unknown names are compared with",
    );
    for (const file of readdirSync(folder))
      assert.equal(readFileSync(join(folder, file)).includes(key ?? "none"), false);
    assert.ok(!JSON.stringify(devices.list({ limit: 10, after: "" })).includes("sha256"));
  });

  test("a password works, also the second time, and not after the identity was replaced", async () => {
    const password = "correct horse";
    const { key } = await devices.add({ name: "depot", role: "edge", topicPrefixes: ["fleet/"], password });
    assert.equal(key, null);
    const identity = { name: "depot", role: "edge", topicPrefixes: ["fleet/"] };
    assert.deepEqual(await registry.verify("depot", secret(password)), identity);
    assert.deepEqual(await registry.verify("depot", secret(password)), identity);
    assert.equal(await registry.verify("depot", secret("correct house")), null);
    await devices.remove("depot");
    await devices.add({ name: "depot", password: "another one" });
    assert.equal(await registry.verify("depot", secret(password)), null);
    assert.deepEqual(revoked, ["depot"]);
  });

  test("more password checks than may wait are refused with an error that says try again", async () => {
    await devices.add({ name: "busy", password: "correct horse" });
    const bounded = new StoredDeviceRegistry(reading, { queueMax: 3 });
    const checks = Array.from({ length: 9 }, (_, index) => bounded.verify("busy", secret(`wrong ${index}`)));
    const settled = await Promise.allSettled(checks);
    const refused = settled.filter((check) => check.status === "rejected");
    assert.equal(refused.length, 9 - 2 - 3, "two are checked at once, three wait");
    for (const check of refused) {
      assert.equal(check.reason.code, "AUTHENTICATION_BUSY");
      assert.equal(check.reason.retryable, true);
    }
  });

  test("a removed identity is refused at once, and its connections are named", async () => {
    const { key } = await devices.add({ name: "gone" });
    assert.ok(await registry.verify("gone", secret(key ?? "")));
    await devices.remove("gone");
    assert.equal(await registry.verify("gone", secret(key ?? "")), null);
    const told: string[] = [];
    registry.onRevoked((name) => told.push(name));
    registry.revoked("gone");
    assert.deepEqual(told, ["gone"]);
    await assert.rejects(devices.remove("gone"), { code: "DEVICE_UNKNOWN" });
  });

  test("names are listed a page at a time, in order", async () => {
    for (const name of ["b1", "b3", "b2"]) await devices.add({ name });
    const first = await devices.list({ limit: 2, after: "b" });
    assert.deepEqual(
      first.map(({ name }) => name),
      ["b1", "b2"],
    );
    assert.equal((await devices.list({ limit: 1, after: "b2" }))[0]?.name, "b3");
  });

  test("what can't be an identity is refused", async () => {
    const wrong = [
      { name: "" },
      { name: "a/b" },
      { name: "*" },
      { name: "x", password: "short" },
      { name: "x", topicPrefixes: ["fleet/"] },
      { name: "x", role: "edge" as const, topicPrefixes: ["fleet/+/"] },
      { name: "x", role: "admin" as "edge" },
    ];
    for (const input of wrong) await assert.rejects(devices.add(input), { code: "DEVICE_INVALID" });
    await assert.rejects(devices.add({ name: "press-7" }), { code: "DEVICE_EXISTS" });
  });
});
