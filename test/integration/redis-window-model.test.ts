import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import fc from "fast-check";
import {
  type DedupWindow,
  dedupKeyBytes,
  type WindowEntries,
} from "../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import { windowColumns } from "../../bridge/lake/window/window-columns.ts";
import { windowKey } from "../contract/dedup-window-contract.ts";
import { RedisServer } from "../support/redis-server.ts";
import { openTestWindow } from "../support/redis-windows.ts";

const baseSeconds = 1_700_000_000;
const partition = 0;
const poolIds = 4000;
const positions = ["p0", "p1", "p2", "p3"];
const tokens = ["t0", "t1"];
/** Every eighth id shares its first bytes with others, which leads to buckets of all sizes. */
const pool = Array.from({ length: poolIds }, (_, id) => {
  const key = Buffer.from(windowKey(id));
  if (id % 8 === 0) key.writeUInt32BE((id % 3) * 0x0100_0000, 0);
  return key;
});

interface Ids {
  readonly first: number;
  readonly count: number;
  readonly contentHash: number;
  readonly livingSeconds: number;
}

type Step =
  | { kind: "apply"; from: string; to: string; seconds: number; ids: Ids }
  | { kind: "beginSeed"; token: string }
  | { kind: "seed"; token: string; chunk: number; ids: Ids }
  | { kind: "endSeed"; token: string; chunks: number; applied: string; seconds: number };

const ids: fc.Arbitrary<Ids> = fc.record({
  first: fc.nat(poolIds - 1),
  count: fc.oneof({ weight: 3, arbitrary: fc.nat(20) }, { weight: 1, arbitrary: fc.nat(2500) }),
  contentHash: fc.nat(),
  livingSeconds: fc.integer({ min: -5, max: 900 }),
});
const position = fc.constantFrom(...positions);
const token = fc.constantFrom(...tokens);
const seconds = fc.oneof(fc.nat(30), fc.nat(700));
const steps: fc.Arbitrary<Step>[] = [
  fc.record({ kind: fc.constant("apply"), from: position, to: position, seconds, ids }),
  fc.record({ kind: fc.constant("apply"), from: position, to: position, seconds, ids }),
  fc.record({ kind: fc.constant("beginSeed"), token }),
  fc.record({ kind: fc.constant("seed"), token, chunk: fc.nat(2), ids }),
  fc.record({ kind: fc.constant("endSeed"), token, chunks: fc.nat(2), applied: position, seconds }),
];

function entriesOf({ first, count, contentHash, livingSeconds }: Ids, nowSeconds: number): WindowEntries {
  const keys = Buffer.concat(
    Array.from({ length: count }, (_, at) => pool[(first + at) % poolIds] as Buffer),
  );
  const expiresAtSeconds = Uint32Array.from(
    { length: count },
    (_, at) => nowSeconds + livingSeconds + (at % 7),
  );
  const columns = windowColumns(count);
  return {
    length: count,
    ...columns,
    keys,
    contentHashes: columns.contentHashes.fill(contentHash),
    expiresAtSeconds,
  };
}

/**
 * Runs one history on one window. Records the answer of each step, and finally the living ids of the whole
 * pool.
 */
class History {
  readonly #window: DedupWindow;
  #nowSeconds = baseSeconds;

  constructor(window: DedupWindow) {
    this.#window = window;
  }

  async run(step: Step, aim: string | null): Promise<unknown> {
    const window = this.#window;
    if (step.kind === "beginSeed") return window.beginSeed(partition, step.token);
    if (step.kind === "seed")
      return window.seed(partition, step.token, step.chunk, entriesOf(step.ids, this.#nowSeconds));
    this.#nowSeconds += step.seconds;
    const streamTimeMs = this.#nowSeconds * 1000;
    if (step.kind === "endSeed") {
      const { chunks, applied } = step;
      return window.endSeed(partition, step.token, { chunks, applied, streamTimeMs });
    }
    // Most applies start at the window's position, because the window refuses all others.
    const from = step.ids.first % 4 === 0 ? step.from : (aim ?? step.from);
    const entries = entriesOf(step.ids, this.#nowSeconds);
    return window.apply(partition, { from, to: step.to, streamTimeMs }, entries);
  }

  applied(): Promise<string | null> {
    return this.#window.applied(partition, "?");
  }

  async living(applied: string): Promise<object | null> {
    const hits = await this.#window.lookup(partition, applied, Buffer.concat(pool));
    if (!hits) return null;
    const isLiving = (expiry: number) => expiry > this.#nowSeconds;
    return {
      expiries: [...hits.expiresAtSeconds].map((expiry) => (isLiving(expiry) ? expiry : 0)),
      contentHashes: [...hits.contentHashes].map((hash, index) =>
        isLiving(hits.expiresAtSeconds[index] ?? 0) ? hash : 0,
      ),
    };
  }
}

let server: RedisServer;
let redisWindow: DedupWindow;
before(async () => {
  server = await RedisServer.start({ appendonly: "no" });
  redisWindow = await openTestWindow(server);
});
after(async () => {
  await redisWindow.close();
  await server.destroy();
});

// RUNS=2000 runs more histories.
test("the window in Redis answers like the one in memory, whatever is applied, seeded and forgotten", async () => {
  let taken = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.oneof(...steps), { minLength: 5, maxLength: 30 }), async (history) => {
      const memoryWindow = createMemoryWindow({ maxBytes: 64 * 1024 * 1024, partitionCount: 1 });
      const [memory, redis] = [new History(memoryWindow), new History(redisWindow)];
      const opening: Step[] = [
        { kind: "beginSeed", token: "t0" },
        { kind: "endSeed", token: "t0", chunks: 0, applied: "p0", seconds: 0 },
      ];
      for (const step of [...opening, ...history]) {
        const aim = await memory.applied();
        const expected = await memory.run(step, aim);
        assert.deepEqual(await redis.run(step, aim), expected, JSON.stringify(step));
        const applied = await memory.applied();
        assert.equal(await redis.applied(), applied, JSON.stringify(step));
        if (expected === true) taken += 1;
        if (applied === null) continue;
        assert.deepEqual(await redis.living(applied), await memory.living(applied), JSON.stringify(step));
      }
      const { ids: counted } = await redisWindow.status();
      assert.ok(counted >= (await livingCount(redis)), "the counter is not below the number of living ids");
    }),
    { numRuns: Number(process.env["RUNS"] ?? 80) },
  );
  assert.ok(taken > 80, `${taken} steps were taken`);
});

async function livingCount(history: History): Promise<number> {
  const applied = await history.applied();
  if (applied === null) return 0;
  const living = (await history.living(applied)) as { expiries: number[] } | null;
  return living?.expiries.filter((expiry) => expiry > 0).length ?? 0;
}

test("the pool's keys have the length of a key", () => {
  assert.ok(pool.every((key) => key.length === dedupKeyBytes));
});
