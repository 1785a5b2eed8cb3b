import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { WorkWatch } from "../../../../gateway/roles/work-watch.ts";

class Port {
  readonly #name = "port";
  readonly calls: ((value: string) => void)[] = [];

  put(): Promise<string> {
    return new Promise((resolve) => this.calls.push(() => resolve(this.#name)));
  }

  get size(): number {
    return this.calls.length;
  }
}

function watched(context: { after(end: () => void): void }) {
  mock.timers.enable({ apis: ["setInterval"] });
  context.after(() => mock.timers.reset());
  const told: (readonly string[])[] = [];
  const state = { mayTakeLong: false };
  const watch = new WorkWatch({
    limitMs: 3_000,
    mayTakeLong: () => state.mayTakeLong,
    stuck: (doing) => told.push(doing),
  });
  watch.begin();
  const target = new Port();
  return { watch, told, state, target, port: watch.port("store", target) };
}

test("work without a step for the limit is reported once, with the open calls", async (context) => {
  const { told, port, target } = watched(context);
  void port.put();
  mock.timers.tick(2_900);
  assert.deepEqual(told, []);
  mock.timers.tick(10_000);
  assert.deepEqual([told, port.size, target.size], [[["store.put for 3 s"]], 1, 1]);
});

test("the end of a call, its failure and a step are signs of progress; so is work that may take long", async (context) => {
  const { watch, told, state, port, target } = watched(context);
  for (let round = 0; round < 5; round++) {
    const put = port.put();
    mock.timers.tick(2_000);
    target.calls.at(-1)?.("");
    assert.equal(await put, "port");
    mock.timers.tick(2_000);
    watch.step();
  }
  state.mayTakeLong = true;
  mock.timers.tick(20_000);
  state.mayTakeLong = false;
  mock.timers.tick(2_900);
  assert.deepEqual(told, []);
  watch.end();
  mock.timers.tick(20_000);
  assert.deepEqual(told, []);
});

test("a call that has ended is not reported", async (context) => {
  const { told, port, target } = watched(context);
  const ended = port.put();
  target.calls[0]?.("");
  await ended;
  void port.put();
  mock.timers.tick(3_100);
  assert.deepEqual(told, [["store.put for 3 s"]]);
});

test("a listing is watched item by item: long is not stuck, and one that hangs is", async (context) => {
  mock.timers.enable({ apis: ["setInterval"] });
  context.after(() => mock.timers.reset());
  const told: (readonly string[])[] = [];
  const watch = new WorkWatch({
    limitMs: 3_000,
    mayTakeLong: () => false,
    stuck: (doing) => told.push(doing),
  });
  watch.begin();
  const ends: string[] = [];
  const store = watch.port("store", {
    async *list(): AsyncGenerator<number> {
      try {
        yield* [1, 2, 3];
        await new Promise(() => {});
      } finally {
        ends.push("closed");
      }
    },
  });
  const seen: number[] = [];
  for await (const item of store.list()) {
    seen.push(item);
    mock.timers.tick(2_000);
    if (item === 2) break;
  }
  assert.deepEqual([seen, ends, told], [[1, 2], ["closed"], []]);
  const items = store.list();
  for (const item of [1, 2, 3]) {
    assert.equal((await items.next()).value, item);
    if (item < 3) mock.timers.tick(2_000);
  }
  void items.next();
  mock.timers.tick(3_100);
  assert.deepEqual(told, [["store.list for 3 s"]]);
});
