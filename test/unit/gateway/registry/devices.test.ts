import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Identity } from "../../../../broker/index.ts";
import { Devices } from "../../../../gateway/registry/devices.ts";
import { LmdbRegistry } from "../../../../gateway/registry/lmdb-registry.ts";
import { StoredDeviceRegistry } from "../../../../gateway/registry/stored-device-registry.ts";

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

async function identityOf(name: string, text: string): Promise<Identity | null> {
  const answer = await registry.verify(name, secret(text));
  return typeof answer === "function" ? await answer() : answer;
}

describe("devices", () => {
  test("a key has 256 random bits, works, and is not stored in the registry", async () => {
    const { device, key } = await devices.add({ name: "press-7" });
    assert.deepEqual(device, {
      name: "press-7",
      role: "device",
      topicPrefixes: [],
      secret: "key",
      createdAtMs: 5,
    });
    assert.match(key ?? "", /^tgk_[\w-]{43}$/);
    assert.deepEqual(await identityOf("press-7", key ?? ""), {
      name: "press-7",
      role: "device",
      topicPrefixes: [],
    });
    assert.equal(await identityOf("press-7", `${key}x`), null);
    assert.equal(await identityOf("press-8", key ?? ""), null);
    assert.equal(
      await identityOf("press-8", ""),
      null,
      "not even the secret unknown names are compared with",
    );
    for (const file of readdirSync(folder))
      assert.equal(readFileSync(join(folder, file)).includes(key ?? "none"), false);
    assert.ok(!JSON.stringify(devices.list({ limit: 10, after: "" })).includes("sha256"));
  });

  test("a password works, also the second time, but not after the identity was replaced", async () => {
    const password = "correct horse";
    const { key } = await devices.add({ name: "depot", role: "edge", topicPrefixes: ["fleet/"], password });
    assert.equal(key, null);
    const identity = { name: "depot", role: "edge", topicPrefixes: ["fleet/"] };
    assert.deepEqual(await identityOf("depot", password), identity);
    assert.deepEqual(await identityOf("depot", password), identity);
    assert.equal(await identityOf("depot", "correct house"), null);
    await devices.remove("depot");
    await devices.add({ name: "depot", password: "another one" });
    assert.equal(await identityOf("depot", password), null);
    assert.deepEqual(revoked, ["depot"]);
  });

  test("a wrong secret takes one slow check and no other, whether its name has a key, has a password or does not exist", async () => {
    await devices.add({ name: "by-key" });
    await devices.add({ name: "by-password", password: "correct horse" });
    for (const name of ["by-key", "by-password", "nobody"])
      for (const text of ["wrong horse", "", `tgk_${"x".repeat(43)}`]) {
        const answer = await registry.verify(name, secret(text));
        assert(typeof answer === "function", `${name} is told at once`);
        assert.equal(await answer(), null);
      }
  });

  test("a correct key, and a password that was verified before, take no slow check", async () => {
    const { key } = await devices.add({ name: "fast" });
    assert.equal(typeof (await registry.verify("fast", secret(key ?? ""))), "object");
    await devices.add({ name: "slow", password: "correct horse" });
    const first = await registry.verify("slow", secret("correct horse"));
    assert(typeof first === "function");
    assert.equal((await first())?.name, "slow");
    assert.equal(typeof (await registry.verify("slow", secret("correct horse"))), "object");
    assert.equal(typeof (await registry.verify("slow", secret("correct house"))), "function");
  });

  test("keys and passwords that 0.1.0 stored work", async () => {
    const common = { role: "device" as const, topicPrefixes: [], createdAtMs: 1 };
    const saltHex = "00112233445566778899aabbccddeeff";
    const sha256Hex = "9c046778261e33119a015b5239a5800ae50c4f24ba5e81efa788ec91ed3cf96a";
    const scryptHex = "f5206d570fcd120bd1f23a8cd186bd87c04ac1db00e9ac1efca589774ae6ecb8";
    await store.addDevice({
      ...common,
      name: "old-key",
      id: "1",
      secret: { kind: "key", saltHex, sha256Hex },
    });
    await store.addDevice({
      ...common,
      name: "old-password",
      id: "2",
      secret: { kind: "password", saltHex, scryptHex, cost: 16_384 },
    });
    assert.equal((await identityOf("old-key", "tgk_old"))?.name, "old-key");
    assert.equal((await identityOf("old-password", "correct horse"))?.name, "old-password");
  });

  test("a removed identity is refused at once, and listeners learn its name", async () => {
    const { key } = await devices.add({ name: "gone" });
    assert.ok(await identityOf("gone", key ?? ""));
    await devices.remove("gone");
    assert.equal(await identityOf("gone", key ?? ""), null);
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

  test("invalid identities are refused", async () => {
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
