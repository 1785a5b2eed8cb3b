import assert from "node:assert/strict";
import { test } from "node:test";
import { openCommitLog } from "../../../../../bridge/lake/commit-log/lake-commit-log.ts";
import { MemoryObjectStore } from "../../../../support/memory-object-store.ts";

for (const create of [true, false])
  test(`opens a lake that another process creates at the same time (create: ${create})`, async () => {
    const mine: MemoryObjectStore = new MemoryObjectStore({
      fault: async (operation) => {
        if (operation === "list" && theirs.objects.size === 0) await openCommitLog(theirs, { create: true });
        return null;
      },
    });
    const theirs = new MemoryObjectStore({ objects: mine.objects });
    const log = await openCommitLog(mine, { create });
    assert.equal(log.lakeId, (await openCommitLog(theirs, { create: false })).lakeId);
  });
