import assert from "node:assert/strict";
import { scryptSync } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import {
  hashPassword,
  isRightPassword,
  type StoredPassword,
} from "../../../../gateway/registry/device-secret.ts";
import { ScryptThreads, scryptPriority } from "../../../../gateway/registry/scrypt-threads.ts";

const tasks = "/proc/self/task";
const input = { secret: Buffer.from("secret"), salt: Buffer.from("salt"), bytes: 32, cost: 16_384 };

/** Threads of this process that run after all others. The 19th field of /proc/PID/stat is `nice`. */
function threadsOfLowPriority(): number {
  const nices = readdirSync(tasks).map((task) => {
    const stat = readFileSync(`${tasks}/${task}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  });
  return nices.filter((nice) => nice === scryptPriority).length;
}

test("hashes are those of scrypt, also several at once", async () => {
  const threads = new ScryptThreads();
  const expected = scryptSync("secret", "salt", 32, { N: 16_384 });
  const hashes = await Promise.all([threads.hash(input), threads.hash(input), threads.hash(input)]);
  for (const hash of hashes) assert.deepEqual(Buffer.from(hash), expected);
});

test("a hash that can't be computed is an error, and later ones are computed", async () => {
  const threads = new ScryptThreads();
  await assert.rejects(threads.hash({ ...input, cost: 3 }), /scrypt/i);
  assert.equal((await threads.hash(input)).length, 32);
});

test("passwords are checked on threads of low priority, as many as checks at the same time", {
  skip: !existsSync(tasks),
}, async () => {
  const threads = new ScryptThreads();
  const stored = (await hashPassword("right")) as StoredPassword;
  const before = threadsOfLowPriority();
  const check = (password: string) => isRightPassword(stored, Buffer.from(password), threads);
  assert.deepEqual(await Promise.all([check("right"), check("wrong")]), [true, false]);
  assert.deepEqual(await Promise.all([check("wrong"), check("right")]), [false, true]);
  assert.equal(threadsOfLowPriority() - before, 2);
});
