import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { describe, test } from "node:test";
import type { FromChild, ToChild } from "../../../../gateway/processes/messages.ts";
import { SupervisorLink } from "../../../../gateway/processes/supervisor-link.ts";

/** A channel whose other end accepts a message only on request of the test. */
class ManualPort extends EventEmitter {
  readonly sent: FromChild[] = [];
  readonly #callbacks: ((error: Error | null) => void)[] = [];

  send(message: FromChild, callback: (error: Error | null) => void): boolean {
    this.sent.push(message);
    this.#callbacks.push(callback);
    return true;
  }

  take(): void {
    for (const callback of this.#callbacks.splice(0)) callback(null);
  }

  receive(message: ToChild): void {
    this.emit("message", message);
  }
}

function linked() {
  const port = new ManualPort();
  const events: string[] = [];
  const link = new SupervisorLink(
    port,
    { start: () => events.push("start"), stop: () => events.push("stop") },
    () => events.push("orphaned"),
  );
  return { port, events, link };
}

describe("a child's link to its supervisor", () => {
  test("the child is notified as soon as the channel closes", () => {
    const { port, events } = linked();
    port.receive({ type: "stop" });
    port.emit("disconnect");
    assert.deepEqual(events, ["stop", "orphaned"]);
  });

  test("while the supervisor accepts no messages, one message of positions waits, with the newest of each partition", () => {
    const { port, link } = linked();
    link.committed({ streamId: "s", positions: { 0: "1" } });
    for (let position = 2; position <= 1_000; position++)
      link.committed({ streamId: "s", positions: { [position % 2]: String(position) } });
    assert.equal(port.sent.length, 1);
    port.take();
    assert.deepEqual(port.sent.slice(1), [
      { type: "committed", committed: { streamId: "s", positions: { 0: "1000", 1: "999" } } },
    ]);
    port.take();
    assert.equal(port.sent.length, 2);
    link.committed({ streamId: "other", positions: { 3: "5" } });
    assert.deepEqual(port.sent.at(-1), {
      type: "committed",
      committed: { streamId: "other", positions: { 3: "5" } },
    });
  });

  test("requests are answered, refused with their code, or told to wait", async () => {
    const { port, link } = linked();
    port.receive({ type: "request", id: 1, kind: "status", ask: null });
    link.serve("status", async () => ({ fine: true }));
    link.serve("deviceRevoked", () => Promise.reject(new Error("broken")));
    port.receive({ type: "request", id: 2, kind: "status", ask: null });
    port.receive({ type: "request", id: 3, kind: "deviceRevoked", ask: "x" });
    await new Promise((resolve) => setImmediate(resolve));
    const [early, answered, failed] = port.sent;
    assert.deepEqual(early?.type === "failure" && [early.id, early.refusal.code], [1, "CHILD_UNREACHABLE"]);
    assert.deepEqual(answered, { type: "answer", id: 2, answer: { fine: true } });
    assert.deepEqual(failed?.type === "failure" && [failed.id, failed.refusal.code], [3, "INTERNAL_ERROR"]);
  });
});
