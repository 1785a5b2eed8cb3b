import assert from "node:assert/strict";
import { test } from "node:test";
import { PacedCloses } from "../../../../broker/mqtt/paced-closes.ts";

test("closes are paced, and none is forgotten", (context) => {
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const closes = new PacedCloses({ perSecond: 40, random: () => 0.5 });
  let closed = 0;
  for (let count = 0; count < 10; count++) closes.add(() => closed++);
  assert.equal(closed, 0);
  context.mock.timers.tick(25);
  assert.equal(closed, 2);
  context.mock.timers.tick(50);
  assert.equal(closed, 4);
  closes.stop();
  assert.equal(closed, 10);
});
