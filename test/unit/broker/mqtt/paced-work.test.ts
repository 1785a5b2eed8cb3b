import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { PacedWork } from "../../../../broker/mqtt/aedes/paced-work.ts";

test("work is done in its order, so much of it in a turn, and what fits at once", async () => {
  const done: number[] = [];
  const paced = new PacedWork(2);
  for (let index = 0; index < 5; index++) paced.add(() => done.push(index));
  assert.deepEqual(done, [0, 1]);
  await turn();
  assert.deepEqual(done, [0, 1, 2, 3]);
  paced.add(() => done.push(5));
  await turn();
  assert.deepEqual(done, [0, 1, 2, 3, 4, 5]);
  await turn();
  await turn();
  paced.add(() => done.push(6));
  assert.deepEqual(done.at(-1), 6);
});

test("what work adds comes after what waits", async () => {
  const done: string[] = [];
  const paced = new PacedWork(2);
  paced.add(() => {
    paced.add(() => done.push("inner"));
    done.push("outer");
  });
  paced.add(() => done.push("next"));
  await turn();
  assert.deepEqual([...done].sort(), ["inner", "next", "outer"]);
});
