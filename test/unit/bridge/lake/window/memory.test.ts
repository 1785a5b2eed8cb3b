import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { createMemoryWindow } from "../../../../../bridge/lake/window/memory/memory-window.ts";
import { windowEntries, windowKeys } from "../../../../contract/dedup-window-contract.ts";

const baseSeconds = 1_700_000_000;
const megabyte = 1024 * 1024;

interface Step {
  readonly ids: readonly number[];
  readonly elapsedSeconds: number;
  readonly windowSeconds: number;
  readonly contentHash: number;
}

const stepsArbitrary = fc.array(
  fc.record({
    ids: fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 120 }),
    elapsedSeconds: fc.integer({ min: 0, max: 90 }),
    windowSeconds: fc.integer({ min: 1, max: 300 }),
    contentHash: fc.integer({ min: 0, max: 0xffff_ffff }),
  }),
  { minLength: 1, maxLength: 40 },
);

test("the window answers like a map from id to expiry, for every id that has not expired", async () => {
  await fc.assert(
    fc.asyncProperty(stepsArbitrary, async (steps: readonly Step[]) => {
      const window = createMemoryWindow({ maxBytes: 4 * megabyte, partitionCount: 1 });
      const model = new Map<number, { expiry: number; hash: number }>();
      await window.beginSeed(0, "t");
      await window.endSeed(0, "t", { chunks: 0, applied: "0", streamTimeMs: baseSeconds * 1000 });
      let now = baseSeconds;
      for (const [index, step] of steps.entries()) {
        now += step.elapsedSeconds;
        const expiry = now + step.windowSeconds;
        const entries = windowEntries(step.ids, { contentHash: step.contentHash, expiresAtSeconds: expiry });
        const move = { from: String(index), to: String(index + 1), streamTimeMs: now * 1000 };
        assert.equal(await window.apply(0, move, entries), true);
        for (const id of step.ids) {
          if (expiry > (model.get(id)?.expiry ?? 0)) model.set(id, { expiry, hash: step.contentHash });
        }
      }
      const ids = Array.from({ length: 402 }, (_, id) => id);
      const hits = await window.lookup(0, String(steps.length), windowKeys(...ids));
      assert.ok(hits);
      for (const id of ids) {
        const expected = model.get(id);
        if (expected && expected.expiry > now) {
          assert.equal(hits.expiresAtSeconds[id], expected.expiry);
          assert.equal(hits.contentHashes[id], expected.hash);
        } else if (hits.expiresAtSeconds[id] !== 0) {
          assert.equal(hits.expiresAtSeconds[id], expected?.expiry, "what it still remembers is true");
        }
      }
    }),
    { numRuns: 60 },
  );
});

test("a full window keeps its bytes, forgets the oldest ids first, and reports its span", async () => {
  const maxBytes = 2 * megabyte;
  const window = createMemoryWindow({ maxBytes, partitionCount: 1 });
  await window.beginSeed(0, "t");
  await window.endSeed(0, "t", { chunks: 0, applied: "0", streamTimeMs: baseSeconds * 1000 });
  const perSecond = 1000;
  const seconds = 150;
  const windowSeconds = 3600;
  const idsOf = (second: number) => Array.from({ length: perSecond }, (_, index) => `${second}-${index}`);
  for (let second = 0; second < seconds; second++) {
    const move = {
      from: String(second),
      to: String(second + 1),
      streamTimeMs: (baseSeconds + second) * 1000,
    };
    const entries = windowEntries(idsOf(second), {
      expiresAtSeconds: baseSeconds + second + windowSeconds,
    });
    assert.equal(await window.apply(0, move, entries), true);
    assert.ok((await window.status()).bytes <= maxBytes);
  }
  const status = await window.status();
  assert.equal(status.isShort, true);
  const spanSeconds = status.spanMs / 1000;
  assert.ok(
    spanSeconds > 20 && spanSeconds < seconds,
    `a span of ${spanSeconds} s is neither nothing nor all`,
  );
  for (let second = seconds - spanSeconds + 1; second < seconds; second++) {
    const hits = await window.lookup(0, String(seconds), windowKeys(...idsOf(second)));
    assert.ok(
      hits?.expiresAtSeconds.every((expiry) => expiry > 0),
      `an id of second ${second} is missing although the span covers it`,
    );
  }
  const oldest = await window.lookup(0, String(seconds), windowKeys(...idsOf(0)));
  assert.ok(
    oldest?.expiresAtSeconds.every((expiry) => expiry === 0),
    "the oldest went first",
  );
});

test("a window that had to forget is whole again once those ids would have expired", async () => {
  const window = createMemoryWindow({ maxBytes: megabyte, partitionCount: 1 });
  await window.beginSeed(0, "t");
  await window.endSeed(0, "t", { chunks: 0, applied: "a", streamTimeMs: baseSeconds * 1000 });
  const ids = Array.from({ length: 100_000 }, (_, index) => index);
  const entries = windowEntries(ids, { expiresAtSeconds: baseSeconds + 60 });
  await window.apply(0, { from: "a", to: "b", streamTimeMs: baseSeconds * 1000 }, entries);
  assert.equal((await window.status()).isShort, true);
  const later = (baseSeconds + 61) * 1000;
  await window.apply(0, { from: "b", to: "c", streamTimeMs: later }, windowEntries([]));
  assert.equal((await window.status()).isShort, false);
});

test("closing gives the memory back", async () => {
  const window = createMemoryWindow({ maxBytes: megabyte, partitionCount: 1 });
  await window.beginSeed(0, "t");
  await window.seed(0, "t", 0, windowEntries([1, 2, 3]));
  await window.close();
  assert.deepEqual(await window.status(), {
    ids: 0,
    epochs: 0,
    bytes: 0,
    isShort: false,
    spanMs: 0,
    devicesOverShare: [],
  });
});

test("devices in exact mode take at most half of the room; above that the oldest epochs are forgotten, and the window is short", async () => {
  const window = createMemoryWindow({ maxBytes: megabyte, partitionCount: 1 });
  await window.beginSeed(0, "t");
  await window.endSeed(0, "t", { chunks: 0, applied: "0", streamTimeMs: baseSeconds * 1000 });
  const length = 1000;
  const turns = 12;
  const idsOf = (turn: number) => ({
    length,
    deviceKeys: windowKeys(...Array.from({ length }, (_, index) => `${turn} ${index}`)),
    epochs: new Uint8Array(length * 8),
    sequences: new Float64Array(length).fill(7),
    seenAtSeconds: new Uint32Array(length).fill(baseSeconds + turn),
  });
  const knownOf = async (turn: number) =>
    (await window.lookup(0, String(turns), new Uint8Array(0), idsOf(turn)))?.known.filter(Boolean).length ??
    0;
  for (let turn = 0; turn < turns; turn++) {
    const move = { from: String(turn), to: String(turn + 1), streamTimeMs: baseSeconds * 1000 };
    await window.apply(0, move, { ...windowEntries([]), exact: idsOf(turn) });
    if (turn === 2) assert.equal((await window.status()).isShort, false);
  }
  const { bytes, isShort, epochs } = await window.status();
  assert.ok(isShort);
  assert.ok(bytes <= megabyte / 2, `${bytes} bytes`);
  assert.ok(epochs > 4000 && epochs < 8192, `${epochs} epochs`);
  assert.equal(await knownOf(turns - 1), length, "the last ones are there");
  assert.ok((await knownOf(0)) < length / 10, "the first ones are gone");
});
