import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageShapes } from "../../../simulator/scenario/message-shapes.ts";
import { createRunTopics } from "../../../simulator/topics/run-topics.ts";
import { scenarioOf } from "./scenario-of.ts";

test("the topic whose filter takes the names of others is created last: another gateway may know some of them only", async () => {
  const mix = { typed: 0.2, envelope: 0.2, raw: 0.1 };
  const shapes = new MessageShapes(scenarioOf({ filter: "plant/{device}/{part}", mix }));
  const created: string[] = [];
  const api = {
    filters: async () => ["plant/{device}/raw"],
    create: async ({ name, filter }: { name: string; filter: string }) => {
      created.push(`${name} ${filter}`);
    },
  };
  await createRunTopics(api, shapes, { dedupeWindowMs: undefined });
  assert.deepEqual(created, [
    "sim_envelope plant/{device}/envelope",
    "sim_typed plant/{device}/typed",
    "sim_json plant/{device}/{part}",
  ]);
});
