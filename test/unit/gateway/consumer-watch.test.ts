import assert from "node:assert/strict";
import { test } from "node:test";
import { ConsumerWatch } from "../../../gateway/supervisor/consumer-watch.ts";
import type { ConsumerProcessStatus } from "../../../gateway/supervisor/gateway-status.ts";

test("a consumer that recovers says how far it is, without being asked by the monitor", async () => {
  const seeding = { files: 1, filesTotal: 9, ids: 5 };
  let status: unknown = { recovery: { step: "seeding", forMs: 2_000, seeding } };
  let asked = 0;
  const watch = new ConsumerWatch({
    ask: async () => {
      asked += 1;
      return status as ConsumerProcessStatus | null;
    },
  });
  assert.deepEqual(watch.progress(), []);
  await watch.look();
  for (let monitor = 0; monitor < 3; monitor++)
    assert.deepEqual(watch.progress(), [
      "the consumer fills the dedupe window from the lake for 2 s: 1 of 9 files read, 5 ids found",
    ]);
  status = { recovery: null };
  await watch.look();
  assert.deepEqual([watch.progress(), asked], [[], 2]);
});
