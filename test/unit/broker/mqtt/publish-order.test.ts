import assert from "node:assert/strict";
import { test } from "node:test";
import { PublishOrder } from "../../../../broker/mqtt/aedes/publish-order.ts";

type Done = (error?: Error | null) => void;

test("one publish at a time until it was delivered; the others follow in order", () => {
  const order = new PublishOrder();
  const begun: string[] = [];
  const ended: string[] = [];
  const ends = new Map<string, Done>();
  for (const name of ["a", "b", "c"])
    order.enter(
      (done) => {
        begun.push(name);
        ends.set(name, done);
      },
      () => ended.push(name),
    );
  assert.deepEqual(begun, ["a"]);
  order.delivered();
  assert.deepEqual(begun, ["a", "b"]);
  ends.get("a")?.();
  assert.deepEqual(begun, ["a", "b"], "the end of one that was delivered long ago frees nothing");
  ends.get("b")?.();
  assert.deepEqual(begun, ["a", "b", "c"], "b failed before it was delivered");
  ends.get("c")?.();
  order.delivered();
  assert.deepEqual(ended, ["a", "b", "c"]);
});

test("a publish that was begun by a delivery comes after it, and many that wait overflow no stack", () => {
  const order = new PublishOrder();
  const seen: number[] = [];
  let first: Done = () => {};
  order.enter((done) => {
    first = done;
  });
  const total = 50_000;
  for (let index = 0; index < total; index++)
    order.enter((done) => {
      seen.push(index);
      if (index === 0)
        order.enter((nested) => {
          seen.push(total);
          nested();
        });
      done();
    });
  first();
  assert.deepEqual(
    seen,
    Array.from({ length: total + 1 }, (_, index) => index),
  );
});
