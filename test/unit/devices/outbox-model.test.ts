import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { Outbox } from "../../../devices/outbox/outbox.ts";
import { decodeMessageId } from "../../../devices/protocol/message-id.ts";
import { PowerCut, withFolder } from "../../support/devices/power-cut.ts";

type Step =
  | { readonly kind: "append"; readonly sizes: readonly number[]; readonly awaited: boolean }
  | { readonly kind: "settle"; readonly count: number }
  | { readonly kind: "reopen" }
  | { readonly kind: "cut"; readonly share: number; readonly garbage: Uint8Array };

const sizes = fc.array(fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 7000 })), { minLength: 1, maxLength: 12 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("append" as const), sizes, awaited: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("settle" as const), count: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reopen" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("cut" as const),
      share: fc.constantFrom(0, 0.3, 0.9, 1),
      garbage: fc.uint8Array({ maxLength: 40 }),
    }),
  },
);

const observer = {
  stored: () => undefined,
  dropped: () => assert.fail("nothing may be dropped"),
  damaged: () => assert.fail("nothing may be damaged"),
  failed: (error: Error) => assert.fail(error.message),
};

/** What must be true of an outbox, kept by simpler means. */
class Model {
  /** Every id that was ever given to a message, with its payload. */
  readonly given = new Map<string, string>();
  /** Sequences whose append resolved and that were not settled since. */
  readonly owed = new Set<number>();
  /** Sequences settled in any life of the outbox. */
  readonly settled = new Set<number>();
  #unread: number[] = [];

  payloadFor(id: Uint8Array, size: number): Uint8Array {
    const key = Buffer.from(id).toString("hex");
    assert.ok(!this.given.has(key), `id ${key} was given out twice`);
    const payload = Buffer.alloc(size, key);
    this.given.set(key, payload.toString("hex"));
    return payload;
  }

  /** Reads everything there is, as a sender does, and checks it. */
  async readAll(outbox: Outbox): Promise<void> {
    for (;;) {
      const messages = await outbox.read({ maxBytes: 4096, maxMessages: 7 });
      if (messages.length === 0) return;
      for (const { id, payload, topic, sequence } of messages) {
        assert.equal(this.given.get(Buffer.from(id).toString("hex")), Buffer.from(payload).toString("hex"));
        assert.equal(decodeMessageId(id).sequence, sequence);
        assert.equal(topic, "fleet/d1/telemetry");
        assert.ok(sequence > (this.#unread.at(-1) ?? 0), "read out of order");
        this.#unread.push(sequence);
      }
    }
  }

  settle(outbox: Outbox, count: number): void {
    for (const sequence of this.#unread.splice(0, count)) {
      outbox.settle(sequence);
      this.owed.delete(sequence);
      this.settled.add(sequence);
    }
  }

  async checkAfterRestart(outbox: Outbox): Promise<void> {
    this.#unread = [];
    await this.readAll(outbox);
    const found = new Set(this.#unread);
    assert.equal(found.size, this.#unread.length);
    for (const sequence of this.owed) assert.ok(found.has(sequence), `message ${sequence} was lost`);
    assert.equal(outbox.messages, found.size);
  }
}

async function run(root: string, steps: readonly Step[], cut: PowerCut): Promise<void> {
  const model = new Model();
  let life = 0;
  const open = (folder: string) =>
    Outbox.open({ folder, maxBytes: 4_000_000, whenFull: "reject", observer, settleLingerMs: 0 });
  let folder = join(root, "0");
  let outbox = await open(folder);
  for (const next of steps) {
    if (next.kind === "append") {
      const appended = next.sizes.map(async (size) => {
        const message = await outbox.append("fleet/d1/telemetry", ({ id }) => model.payloadFor(id, size));
        if (!model.settled.has(message.sequence)) model.owed.add(message.sequence);
      });
      if (next.awaited) await Promise.all(appended);
    } else if (next.kind === "settle") {
      await model.readAll(outbox);
      model.settle(outbox, next.count);
    } else if (next.kind === "reopen") {
      await outbox.close();
      outbox = await open(folder);
      await model.checkAfterRestart(outbox);
    } else {
      life += 1;
      const owedAtCut = [...model.owed];
      const copy = join(root, String(life));
      cut.copy(folder, copy, next);
      await outbox.close();
      // What resolved after the cut happened in a life that never was.
      model.owed.clear();
      for (const sequence of owedAtCut) model.owed.add(sequence);
      folder = copy;
      outbox = await open(folder);
      await model.checkAfterRestart(outbox);
    }
  }
  await outbox.close();
  outbox = await open(folder);
  await model.checkAfterRestart(outbox);
  await outbox.close();
}

let cut: PowerCut;
before(async () => {
  cut = await PowerCut.watch();
});
after(() => cut.restore());

test("whatever is appended, settled, closed or cut off: order kept, nothing owed is lost, no id is given twice", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 15 }), (steps) =>
      withFolder((root) => run(root, steps, cut)),
    ),
    { numRuns: 60 },
  );
});
