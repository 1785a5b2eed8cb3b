import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { BridgeError } from "../../bridge/errors.ts";
import { openCommitLog } from "../../bridge/lake/commit-log/lake-commit-log.ts";
import { openLocalStore } from "../../bridge/lake/stores/local/local-store.ts";
import { MemoryObjectStore, type StoreFault } from "../support/memory-object-store.ts";
import { S3TestServer } from "../support/s3-server.ts";
import { openTestStore, patientS3Config } from "../support/s3-store.ts";
import { type CommitLogUnderTest, commitLogContract, fill, makeEntry } from "./commit-log-contract.ts";
import { commitLogLandingContract } from "./commit-log-landing-contract.ts";
import { commitLogOrdinalsContract } from "./commit-log-ordinals-contract.ts";
import { commitLogPruningContract } from "./commit-log-pruning-contract.ts";

const server = await S3TestServer.start();
after(() => server.close());
let lakes = 0;

const stores: Readonly<Record<string, () => Promise<CommitLogUnderTest>>> = {
  "on a local store": async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-commits-"));
    return {
      store: await openLocalStore(folder),
      close: () => rm(folder, { recursive: true, force: true }),
    };
  },
  "on a memory store": async () => {
    const store = new MemoryObjectStore();
    return { store, close: async () => store.close() };
  },
  "in S3": async () => {
    const folder = await mkdtemp(join(tmpdir(), "tidegate-commits-"));
    return {
      store: await openTestStore(server, { folder, prefix: `lake-${lakes++}`, config: patientS3Config }),
      close: () => rm(folder, { recursive: true, force: true }),
    };
  },
};

for (const [place, openStore] of Object.entries(stores)) {
  commitLogContract(`commit log ${place}`, openStore);
  commitLogOrdinalsContract(`commit log ${place}`, openStore);
  commitLogLandingContract(`commit log ${place}`, openStore);
  commitLogPruningContract(`commit log ${place}`, openStore);
}

/** A log whose next `putIfAbsent` calls fail in these ways. */
async function faultyLog(faults: StoreFault[]) {
  const shared = new MemoryObjectStore();
  const store = new MemoryObjectStore({
    objects: shared.objects,
    fault: (operation, path) =>
      operation === "putIfAbsent" && /\d{20}/.test(path) ? (faults.shift() ?? null) : null,
  });
  const log = await openCommitLog(store, { create: true, sleep: async () => undefined });
  return { log, shared };
}

test("a lost answer is resolved as committed if the entry was stored", async () => {
  const { log, shared } = await faultyLog(["after"]);
  assert.deepEqual(await log.append(makeEntry(1)), { outcome: "committed" });
  assert.equal((await (await openCommitLog(shared, { create: false })).load()).number, 1);
});

test("a lost answer is resolved as taken if another writer's entry was stored meanwhile", async () => {
  const { log, shared } = await faultyLog(["before"]);
  await log.load();
  await fill(await openCommitLog(shared, { create: false }), 1);
  assert.deepEqual(await log.append(makeEntry(1)), { outcome: "taken" });
});

test("a store that fails four times and then works stores one commit", async () => {
  const { log, shared } = await faultyLog(["before", "before", "before", "after"]);
  const entry = makeEntry(1);
  assert.deepEqual(await log.append(entry), { outcome: "committed" });
  const reader = await openCommitLog(shared, { create: false });
  assert.equal((await reader.entry(1))?.commitId, entry.commitId);
});

test("a store that stays unreachable rejects with its own error, and a later load shows what became of the entry", async () => {
  const { log } = await faultyLog(["before", "before", "before", "before", "after"]);
  await assert.rejects(log.append(makeEntry(1)), { code: "STORE_UNAVAILABLE", retryable: true });
  assert.equal((await log.load()).number, 1);
});

test("a full disk and a failed flush are not retried", async () => {
  for (const code of ["STORE_FULL", "STORE_FLUSH_FAILED"] as const) {
    const { log } = await faultyLog([
      new BridgeError(code, "injected", { retryable: code === "STORE_FULL" }),
    ]);
    await assert.rejects(log.append(makeEntry(1)), { code });
    assert.equal((await log.load()).number, 0);
  }
});
