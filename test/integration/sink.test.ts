import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { createCommittedRows } from "../../bridge/lake/index.ts";
import { countRows } from "../support/count-rows.ts";
import { codeBlocks } from "../support/documents.ts";
import { makeRow, openTestLake, type TestRow } from "../support/test-lake.ts";

const root = join(import.meta.dirname, "..", "..");

function rowsFrom(first: number): TestRow[] {
  const facts = { reason: "schema-violated", detail: "", topicId: "topic-1", topicVersion: 1 };
  const rows = Array.from({ length: 70 }, (_, index) => ({ row: makeRow(first + index) }));
  return [...rows, { row: makeRow(first + 70), facts }];
}

test("docs/extending/sink.md shows the sink that this test runs", () => {
  const source = readFileSync(join(root, "test/support/count-rows.ts"), "utf8");
  const blocks = codeBlocks("docs/extending/sink.md").filter(({ language }) => language === "ts");
  assert.deepEqual(
    blocks.map(({ text }) => text),
    [source],
  );
});

test("the sink counts each row once, however often it ends within a commit", async () => {
  const lake = await openTestLake();
  const file = join(lake.folder, "counts.json");
  const counts = () => JSON.parse(readFileSync(file, "utf8")) as { rows: Record<string, number> };
  const { store, commitLog } = lake;
  try {
    for (const first of [0, 100, 200]) await lake.commit(rowsFrom(first), { publish: false });
    let isDone = false;
    for (let runs = 0; !isDone && runs < 100; runs++) {
      const end = new AbortController();
      const log = createCommittedRows({ store, commitLog, limits: { rowsMax: 20, bytesMax: 2 ** 20 } });
      let chunks = 0;
      const until = async (position: { commit: number }) => {
        isDone = position.commit > 3;
        if (isDone || ++chunks > 2) end.abort();
      };
      await countRows(
        {
          ...{ earliest: () => log.earliest(), latest: () => log.latest(), read: (from) => log.read(from) },
          async *follow(from, signal) {
            for await (const chunk of log.follow(from, signal)) {
              yield chunk;
              await until(chunk.next);
            }
          },
        },
        file,
        end.signal,
      );
    }
    assert.equal(isDone, true);
    const perDevice = Object.fromEntries(Array.from({ length: 7 }, (_, device) => [`device-${device}`, 30]));
    assert.deepEqual(counts().rows, perDevice);
  } finally {
    await lake.close();
  }
});
