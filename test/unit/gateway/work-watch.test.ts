import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { WorkWatch } from "../../../gateway/roles/work-watch.ts";

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

test("work without a step for the limit is told once, with the calls that have not ended", async (context) => {
  const { told, port, target } = watched(context);
  void port.put();
  mock.timers.tick(2_900);
  assert.deepEqual(told, []);
  mock.timers.tick(10_000);
  assert.deepEqual([told, port.size, target.size], [[["store.put for 3 s"]], 1, 1]);
});

test("a call that ends, well or not, and a step are signs of life; so is what may take long", async (context) => {
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

test("a call that has ended is not among those that are told", async (context) => {
  const { told, port, target } = watched(context);
  const ended = port.put();
  target.calls[0]?.("");
  await ended;
  void port.put();
  mock.timers.tick(3_100);
  assert.deepEqual(told, [["store.put for 3 s"]]);
});
