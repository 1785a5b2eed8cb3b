import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { HttpCall } from "../../../../../simulator/prove/fault-proxies/http-fault.ts";
import type { PutEntry } from "../../../../../simulator/prove/fault-proxies/put-records-faults.ts";
import { overShardLimits } from "../../../../../simulator/prove/fault-proxies/shard-limits.ts";

const half = 2n ** 127n;
const lower = { first: 0n, last: half - 1n };
const upper = { first: half, last: 2n * half - 1n };

function entry(bytes: number, hashKey = 0n): PutEntry {
  return {
    Data: Buffer.alloc(bytes - 1).toString("base64"),
    PartitionKey: "p",
    ExplicitHashKey: String(hashKey),
  };
}

/** How many of these entries, put one after another, the shards take. */
function taken(isOver: ReturnType<typeof overShardLimits>, entries: readonly PutEntry[]): number {
  return entries.filter((each, index) => !isOver(index, each, {} as HttpCall)).length;
}

const many = (count: number, each: PutEntry) => Array.from({ length: count }, () => each);

test("a shard takes 1,000 records a second, each shard on its own", () => {
  let nowMs = 0;
  const isOver = overShardLimits(
    () => [lower, upper],
    () => nowMs,
  );
  assert.equal(taken(isOver, many(1_500, entry(10))), 1_000);
  assert.equal(taken(isOver, many(1_500, entry(10, half))), 1_000);
  nowMs += 100;
  assert.equal(taken(isOver, many(1_500, entry(10))), 100);
  nowMs += 60_000;
  assert.equal(taken(isOver, many(1_500, entry(10))), 1_000);
});

test("a shard takes 1 MiB a second, partition keys included", () => {
  let nowMs = 0;
  const isOver = overShardLimits(
    () => [lower, upper],
    () => nowMs,
  );
  assert.equal(taken(isOver, many(20, entry(131_072))), 8);
  assert.equal(taken(isOver, [entry(1)]), 0);
  nowMs += 250;
  assert.equal(taken(isOver, many(20, entry(131_072))), 2);
});

test("a split doubles the capacity, and keys without a hash are placed by MD5", () => {
  let shards = [{ first: 0n, last: upper.last }];
  const isOver = overShardLimits(
    () => shards,
    () => 0,
  );
  const above = { ...entry(10), PartitionKey: "a" };
  const { ExplicitHashKey: _, ...hashed } = above;
  assert.ok(BigInt(`0x${createHash("md5").update("a").digest("hex")}`) < half);
  assert.equal(taken(isOver, many(1_500, entry(10, half))), 1_000);
  shards = [lower, upper];
  assert.equal(taken(isOver, many(1_500, entry(10, half))), 1_000);
  assert.equal(taken(isOver, many(10, hashed)), 0);
});
