/**
 * The dedupe window in memory: bytes per id, CPU per id for adding and looking up, and the longest single call, while it fills to 1 and
 * to 10 million ids and then while stream time moves on, so that as many are forgotten as are added.
 * Prints one JSON object; µs are CPU time of this process.
 */
import { randomFillSync } from "node:crypto";
import { DEDUP_KEY_BYTES, type DedupWindow, type WindowEntries } from "../../bridge/window/dedup-window.ts";
import { createMemoryWindow } from "../../bridge/window/memory/memory-window.ts";

const applyIds = 20_000;
const lookupIds = 1000;
const windowSeconds = 3600;
const baseSeconds = 1_700_000_000;

interface Cost {
  cpuUs: number;
  longestMs: number;
}

class Meter {
  #cpuUs = 0;
  #longestMs = 0;
  #ids = 0;

  async measure(ids: number, work: () => Promise<unknown>): Promise<void> {
    const before = process.cpuUsage();
    const startedAt = performance.now();
    await work();
    const { user, system } = process.cpuUsage(before);
    this.#cpuUs += user + system;
    this.#ids += ids;
    this.#longestMs = Math.max(this.#longestMs, performance.now() - startedAt);
  }

  cost(): Cost {
    return { cpuUs: rounded(this.#cpuUs / this.#ids), longestMs: rounded(this.#longestMs) };
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function entriesAt(second: number): WindowEntries {
  return {
    length: applyIds,
    keys: randomFillSync(new Uint8Array(applyIds * DEDUP_KEY_BYTES)),
    payloadHashes: new Uint32Array(applyIds),
    expiresAtSeconds: new Uint32Array(applyIds).fill(second + windowSeconds),
  };
}

class Filling {
  readonly #window: DedupWindow;
  #applied = "0";
  #steps = 0;

  constructor(window: DedupWindow) {
    this.#window = window;
  }

  async start(): Promise<void> {
    await this.#window.beginSeed(0, "t");
    await this.#window.endSeed(0, "t", { chunks: 0, applied: "0", streamTimeMs: baseSeconds * 1000 });
  }

  async apply(second: number, meter: Meter): Promise<void> {
    const entries = entriesAt(second);
    const to = String(++this.#steps);
    const step = { from: this.#applied, to, streamTimeMs: second * 1000 };
    await meter.measure(applyIds, () => this.#window.apply(0, step, entries));
    this.#applied = to;
  }

  async lookup(meter: Meter): Promise<void> {
    const keys = randomFillSync(new Uint8Array(lookupIds * DEDUP_KEY_BYTES));
    await meter.measure(lookupIds, () => this.#window.lookup(0, this.#applied, keys));
  }
}

async function bench(ids: number): Promise<object> {
  globalThis.gc?.();
  const residentBefore = process.memoryUsage.rss();
  const window = createMemoryWindow({ maxBytes: 1024 ** 3, partitionCount: 1 });
  const filling = new Filling(window);
  await filling.start();
  const steps = ids / applyIds;
  const adding = new Meter();
  for (let step = 0; step < steps; step++)
    await filling.apply(baseSeconds + Math.floor((step * windowSeconds) / steps), adding);
  const full = await window.status();
  const looking = new Meter();
  for (let step = 0; step < 500; step++) await filling.lookup(looking);
  const turning = new Meter();
  for (let step = 0; step < steps; step++)
    await filling.apply(baseSeconds + windowSeconds + Math.floor((step * windowSeconds) / steps), turning);
  const turned = await window.status();
  globalThis.gc?.();
  const residentBytes = process.memoryUsage.rss() - residentBefore;
  const result = {
    ids: full.ids,
    bytesPerId: rounded(full.bytes / full.ids),
    add: adding.cost(),
    lookup: looking.cost(),
    addAndForget: turning.cost(),
    afterOneTurn: { ids: turned.ids, bytesPerLivingId: rounded(turned.bytes / ids) },
    residentBytesPerId: rounded(residentBytes / ids),
  };
  await window.close();
  return result;
}

await bench(200_000);
const results = { millions1: await bench(1_000_000), millions10: await bench(10_000_000) };
process.stdout.write(`${JSON.stringify(results)}\n`);
