/**
 * Measures the dedupe windows: bytes per id, CPU per id for adding and looking up, and the longest single
 * call. A window fills to 1 and to 10 million ids; then stream time advances, so that as many ids expire as
 * are added. Then a burst's ids expire without further ones. Then as many devices in exact mode each send one
 * message and then another one. Prints one JSON object; µs are CPU time of this process and of redis-server.
 * Pauses are times in which redis-server served nobody else.
 * WINDOW=memory|redis measures one window only, MODE=exact the exact mode only, IDS=1000000 one size only,
 * APPENDONLY=yes a server with an append-only file.
 */
import { randomFillSync } from "node:crypto";
import { Redis } from "ioredis";
import {
  type DedupWindow,
  dedupKeyBytes,
  type ExactIds,
  exactEpochBytes,
  type WindowEntries,
} from "../../bridge/lake/window/dedup-window.ts";
import { createMemoryWindow } from "../../bridge/lake/window/memory/memory-window.ts";
import { openRedisWindow } from "../../bridge/lake/window/redis/redis-window.ts";
import { windowColumns } from "../../bridge/lake/window/window-columns.ts";
import { parseRedisUrl } from "../../bridge/redis/redis-url.ts";
import { RedisServer } from "../support/redis-server.ts";
import { silentLogger } from "../support/test-lake.ts";

const applyIds = 20_000;
const lookupIds = 1000;
const windowSeconds = 3600;
const baseSeconds = 1_700_000_000;

const noEntries: WindowEntries = { length: 0, ...windowColumns(0) };

/** A window and, if the window has one, its server. */
interface Subject {
  readonly window: DedupWindow;
  /** CPU time of the server so far. */
  serverCpuUs(): Promise<number>;
  /** Memory of the server beyond that of the empty server. */
  serverBytes(): Promise<number>;
  /** The longest command of the server since the last call. */
  longestPauseMs(): Promise<number>;
  close(): Promise<void>;
}

class Meter {
  readonly #subject: Subject;
  #cpuUs = 0;
  #serverCpuUs = 0;
  #longestMs = 0;
  #ids = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  async measure(ids: number, work: () => Promise<unknown>): Promise<void> {
    const serverBefore = await this.#subject.serverCpuUs();
    const before = process.cpuUsage();
    const startedAt = performance.now();
    await work();
    const { user, system } = process.cpuUsage(before);
    this.#cpuUs += user + system;
    this.#ids += ids;
    this.#longestMs = Math.max(this.#longestMs, performance.now() - startedAt);
    this.#serverCpuUs += (await this.#subject.serverCpuUs()) - serverBefore;
  }

  async cost(): Promise<object> {
    return {
      cpuUs: rounded(this.#cpuUs / this.#ids),
      longestCallMs: rounded(this.#longestMs),
      serverCpuUs: rounded(this.#serverCpuUs / this.#ids),
      serverPauseMs: await this.#subject.longestPauseMs(),
    };
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function entriesAt(second: number): WindowEntries {
  return {
    length: applyIds,
    keys: randomFillSync(new Uint8Array(applyIds * dedupKeyBytes)),
    contentHashes: new Uint32Array(applyIds),
    expiresAtSeconds: new Uint32Array(applyIds).fill(second + windowSeconds),
    filedAtSeconds: new Uint32Array(applyIds).fill(second),
    devices: randomFillSync(new Uint16Array(applyIds)),
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
    await meter.measure(applyIds, () => this.#move(second, entries));
  }

  async pass(second: number, meter: Meter): Promise<void> {
    await meter.measure(1, () => this.#move(second, noEntries));
  }

  async lookup(meter: Meter): Promise<void> {
    const keys = randomFillSync(new Uint8Array(lookupIds * dedupKeyBytes));
    await meter.measure(lookupIds, () => this.#window.lookup(0, this.#applied, keys));
  }

  async #move(second: number, entries: WindowEntries): Promise<void> {
    const to = String(++this.#steps);
    await this.#window.apply(0, { from: this.#applied, to, streamTimeMs: second * 1000 }, entries);
    this.#applied = to;
  }
}

async function bench(open: () => Promise<Subject>, ids: number): Promise<object> {
  globalThis.gc?.();
  const residentBefore = process.memoryUsage.rss();
  const subject = await open();
  const { window } = subject;
  const filling = new Filling(window);
  await filling.start();
  const steps = ids / applyIds;
  const secondOf = (step: number, turn: number) =>
    baseSeconds + turn * windowSeconds + Math.floor((step * windowSeconds) / steps);
  const adding = new Meter(subject);
  for (let step = 0; step < steps; step++) await filling.apply(secondOf(step, 0), adding);
  const full = await window.status();
  const fullServerBytes = await subject.serverBytes();
  const added = await adding.cost();
  const looking = new Meter(subject);
  for (let step = 0; step < 500; step++) await filling.lookup(looking);
  const lookedUp = await looking.cost();
  const turning = new Meter(subject);
  for (let step = 0; step < steps; step++) await filling.apply(secondOf(step, 1), turning);
  const turned = await window.status();
  const turnedServerBytes = await subject.serverBytes();
  const turnedCost = await turning.cost();
  globalThis.gc?.();
  const residentBytes = process.memoryUsage.rss() - residentBefore;
  const emptying = new Meter(subject);
  for (let pass = 1; pass <= 90; pass++) await filling.pass(secondOf(0, 2) + 60 * pass, emptying);
  const emptied = await window.status();
  const result = {
    ids: full.ids,
    bytesPerId: rounded(full.bytes / full.ids),
    serverBytesPerId: rounded(fullServerBytes / full.ids),
    add: added,
    lookup: lookedUp,
    addAndForget: turnedCost,
    afterOneTurn: {
      ids: turned.ids,
      bytesPerLivingId: rounded(turned.bytes / ids),
      serverBytesPerLivingId: rounded(turnedServerBytes / ids),
    },
    residentBytesPerId: rounded(residentBytes / ids),
    emptied: {
      ids: emptied.ids,
      bytes: emptied.bytes,
      serverBytes: await subject.serverBytes(),
      forgetting: await emptying.cost(),
    },
  };
  await subject.close();
  return result;
}

/**
 * The devices from `first` on, each in its own epoch. Keys are made from their numbers, as evenly spread as
 * hashes are.
 */
function exactIdsAt(first: number, sequence: number): ExactIds {
  const deviceKeys = Buffer.alloc(applyIds * dedupKeyBytes);
  for (let index = 0; index < applyIds; index++) {
    const number = first + index;
    deviceKeys.writeUInt32LE(Math.imul(number, 0x9e37_79b1) >>> 0, index * dedupKeyBytes);
    deviceKeys.writeUInt32LE(Math.imul(number, 0x85eb_ca6b) >>> 0, index * dedupKeyBytes + 4);
    deviceKeys.writeUInt32LE(number, index * dedupKeyBytes + 8);
  }
  return {
    length: applyIds,
    deviceKeys,
    epochs: new Uint8Array(applyIds * exactEpochBytes).fill(7),
    sequences: new Float64Array(applyIds).fill(sequence),
    seenAtSeconds: new Uint32Array(applyIds).fill(baseSeconds + sequence),
  };
}

async function benchExact(open: () => Promise<Subject>, devices: number): Promise<object> {
  const subject = await open();
  const { window } = subject;
  await new Filling(window).start();
  let steps = 0;
  const pass = async (sequence: number): Promise<object> => {
    const meter = new Meter(subject);
    for (let first = 0; first < devices; first += applyIds) {
      const move = { from: String(steps), to: String(++steps), streamTimeMs: baseSeconds * 1000 };
      const exact = exactIdsAt(first, sequence);
      const entries = { ...noEntries, exact };
      await meter.measure(applyIds, () => window.apply(0, move, entries));
    }
    return meter.cost();
  };
  const first = await pass(1);
  const next = await pass(2);
  const looking = new Meter(subject);
  for (let at = 0; at < devices; at += applyIds) {
    const asked = exactIdsAt(at, 3);
    await looking.measure(applyIds, () => window.lookup(0, String(steps), new Uint8Array(0), asked));
  }
  const { bytes, epochs, isShort } = await window.status();
  const serverBytes = await subject.serverBytes();
  const result = {
    devices: epochs,
    isShort,
    bytesPerDevice: rounded(bytes / epochs),
    serverBytesPerDevice: rounded(serverBytes / epochs),
    addFirst: first,
    addNext: next,
    lookup: await looking.cost(),
  };
  await subject.close();
  return result;
}

async function memorySubject(): Promise<Subject> {
  const window = createMemoryWindow({ maxBytes: 1024 ** 3, partitionCount: 1 });
  const nothing = async () => 0;
  return {
    window,
    serverCpuUs: nothing,
    serverBytes: nothing,
    longestPauseMs: nothing,
    close: () => window.close(),
  };
}

async function redisSubject(): Promise<Subject> {
  const server = await RedisServer.start({
    appendonly: process.env["APPENDONLY"] ?? "no",
    "slowlog-log-slower-than": "500",
    "slowlog-max-len": "20000",
  });
  const client = new Redis({ port: server.port });
  const field = async (section: string, name: string) =>
    Number(new RegExp(`^${name}:(\\S+)`, "m").exec(await client.info(section))?.[1]);
  const emptyBytes = await field("memory", "used_memory");
  const window = await openRedisWindow({
    target: parseRedisUrl(server.url),
    lakeId: "lake",
    streamId: "5".repeat(32),
    partitions: () => [0],
    timeoutMs: 10_000,
    logger: silentLogger,
  });
  return {
    window,
    serverCpuUs: async () =>
      ((await field("cpu", "used_cpu_user")) + (await field("cpu", "used_cpu_sys"))) * 1e6,
    serverBytes: async () => (await field("memory", "used_memory")) - emptyBytes,
    longestPauseMs: async () => {
      const slow = (await client.slowlog("GET", 20_000)) as [number, number, number][];
      await client.slowlog("RESET");
      return Math.max(0, ...slow.map(([, , durationUs]) => durationUs)) / 1000;
    },
    close: async () => {
      await window.close();
      client.disconnect();
      await server.destroy();
    },
  };
}

const subjects = { memory: memorySubject, redis: redisSubject };
const sizes = process.env["IDS"] ? [Number(process.env["IDS"])] : [1_000_000, 10_000_000];
const results: Record<string, unknown> = {};
for (const [name, open] of Object.entries(subjects)) {
  if (process.env["WINDOW"] && process.env["WINDOW"] !== name) continue;
  if (process.env["MODE"] !== "exact") await bench(open, 200_000);
  for (const size of sizes) {
    if (process.env["MODE"] !== "exact") results[`${name} ${size / 1e6}M`] = await bench(open, size);
    results[`${name} ${size / 1e6}M devices, exact`] = await benchExact(open, size);
  }
}
process.stdout.write(`${JSON.stringify(results)}\n`);
