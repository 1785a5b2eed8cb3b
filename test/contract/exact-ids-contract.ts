import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { EXACT_SEQUENCE_MAX } from "../../bridge/block/sdk-sequence.ts";
import {
  type DedupWindow,
  EXACT_EPOCH_BYTES,
  EXACT_EPOCHS_MAX,
  EXACT_SPAN,
  type ExactIds,
  type WindowEntries,
} from "../../bridge/window/dedup-window.ts";
import { type ExactId, ExactModel } from "../support/exact-model.ts";
import { windowEntries, windowKey } from "./dedup-window-contract.ts";

const baseSeconds = 1_700_000_000;
const weekSeconds = 7 * 86_400;

type SomeExactId = Omit<ExactId, "seenAtSeconds"> & Partial<ExactId>;

function exactIds(ids: readonly SomeExactId[]): ExactIds {
  return {
    length: ids.length,
    deviceKeys: Buffer.concat(ids.map(({ device }) => windowKey(`device ${device}`))),
    epochs: Buffer.concat(ids.map(({ epoch }) => windowKey(`epoch ${epoch}`).subarray(0, EXACT_EPOCH_BYTES))),
    sequences: Float64Array.from(ids, ({ sequence }) => sequence),
    seenAtSeconds: Uint32Array.from(ids, ({ seenAtSeconds }) => seenAtSeconds ?? baseSeconds),
  };
}

/** Entries of exact ids alone. */
function exactEntries(ids: readonly SomeExactId[]): WindowEntries {
  return { ...windowEntries([]), exact: exactIds(ids) };
}

/** What every DedupWindow must do with exact ids. `open` gives an empty window of its own; it is closed afterwards. */
export function exactIdsContract(name: string, open: () => Promise<DedupWindow>): void {
  describe(`exact ids of a DedupWindow: ${name}`, () => {
    let window: DedupWindow;
    before(async () => {
      window = await open();
    });
    after(() => window.close());

    let nextPartition = 0;
    const started = async (): Promise<number> => {
      const partition = nextPartition++;
      await window.beginSeed(partition, "t");
      const end = { chunks: 0, applied: "p0", streamTimeMs: baseSeconds * 1000 };
      assert.equal(await window.endSeed(partition, "t", end), true);
      return partition;
    };
    const apply = (partition: number, from: number, ids: readonly SomeExactId[], seconds = 0) =>
      window.apply(
        partition,
        { from: `p${from}`, to: `p${from + 1}`, streamTimeMs: (baseSeconds + seconds) * 1000 },
        exactEntries(ids),
      );
    const known = async (partition: number, at: number, ids: readonly SomeExactId[]) => {
      const hits = await window.lookup(partition, `p${at}`, new Uint8Array(0), exactIds(ids));
      assert.ok(hits, `the window of partition ${partition} is at p${at}`);
      return [...hits.known].map((byte) => byte === 1);
    };
    const of =
      (device: string, epoch: string) =>
      (...sequences: number[]): SomeExactId[] =>
        sequences.map((sequence) => ({ device, epoch, sequence }));
    const pump = of("pump", "e1");

    test("a sequence is known by its bit, or because it fell behind; above the highest none is", async () => {
      const partition = await started();
      assert.deepEqual(await known(partition, 0, pump(0, 5)), [false, false]);
      await apply(partition, 0, pump(1000, 1003, 1001));
      assert.deepEqual(await known(partition, 1, pump(1000, 1001, 1002, 1003, 1004)), [
        true,
        true,
        false,
        true,
        false,
      ]);
      const behind = 1003 - EXACT_SPAN;
      assert.deepEqual(await known(partition, 1, pump(0, behind - 1, behind, behind + 1)), [
        true,
        true,
        true,
        false,
      ]);
    });

    test("other devices and other epochs are others", async () => {
      const partition = await started();
      await apply(partition, 0, pump(7));
      const asked = [...pump(7), ...of("fan", "e1")(7), ...of("pump", "e2")(7)];
      assert.deepEqual(await known(partition, 1, asked), [true, false, false]);
    });

    test("sequence 0, a jump over the span, and the largest sequence", async () => {
      const partition = await started();
      await apply(partition, 0, pump(0));
      assert.deepEqual(await known(partition, 1, pump(0, 1)), [true, false]);
      await apply(partition, 1, pump(70_000));
      assert.deepEqual(await known(partition, 2, pump(0, 70_000 - EXACT_SPAN + 1, 70_000)), [
        true,
        false,
        true,
      ]);
      await apply(partition, 2, pump(EXACT_SEQUENCE_MAX));
      assert.deepEqual(await known(partition, 3, pump(70_000, EXACT_SEQUENCE_MAX - 1, EXACT_SEQUENCE_MAX)), [
        true,
        false,
        true,
      ]);
    });

    test("no sequence is cut short: those around each power of two, up to the largest one, are themselves", async () => {
      const partition = await started();
      const powers = [16, 24, 31, 32, 33, 40, 47].map((bits) => 2 ** bits);
      const edges = [...powers, EXACT_SEQUENCE_MAX - 1];
      const at = (...by: number[]) =>
        edges.flatMap((edge) => of(`d${edge}`, "e")(...by.map((one) => edge + one)));
      await apply(
        partition,
        0,
        edges.flatMap((edge) => of(`d${edge}`, "e")(5)),
      );
      const ofLowBytesAlike = powers.flatMap((power) => of(`d${power}`, "e")(power + 5));
      assert.ok(
        !(await known(partition, 1, ofLowBytesAlike)).some(Boolean),
        "a new one of the same low bytes",
      );
      await apply(partition, 1, at(-2));
      const asked = at(-3, -2, -1, 0, 1);
      const answers = (each: readonly boolean[]) => edges.flatMap(() => each);
      assert.deepEqual(await known(partition, 2, asked), answers([false, true, false, false, false]));
      await apply(partition, 2, at(0));
      assert.deepEqual(await known(partition, 3, asked), answers([false, true, false, true, false]));
      await apply(partition, 3, at(1));
      assert.deepEqual(await known(partition, 4, asked), answers([false, true, false, true, true]));
      assert.deepEqual(await known(partition, 4, at(1 - EXACT_SPAN, 2 - EXACT_SPAN)), answers([true, false]));
    });

    test("they outlast any stream time, unlike the ids beside them", async () => {
      const partition = await started();
      const entries = windowEntries(["a"], { expiresAtSeconds: baseSeconds + 10 });
      const step = { from: "p0", to: "p1", streamTimeMs: baseSeconds * 1000 };
      await window.apply(partition, step, { ...entries, exact: exactIds(pump(5)) });
      for (let turn = 1; turn < 40; turn++) await apply(partition, turn, [], turn * weekSeconds);
      assert.deepEqual(await known(partition, 40, pump(5, 6)), [true, false]);
    });

    test("of a device the epochs seen last are kept, in whatever order they come", async () => {
      const partition = await started();
      const seen = (number: number, seenAtSeconds: number) => ({
        device: "pump",
        epoch: `e${number}`,
        sequence: 3,
        seenAtSeconds,
      });
      const count = EXACT_EPOCHS_MAX + 1;
      const numbers = Array.from({ length: count }, (_, number) => number);
      const asked = numbers.map((number) => seen(number, 0));
      const allBut = (gone: number) => numbers.map((number) => number !== gone);
      await apply(
        partition,
        0,
        numbers.toReversed().map((number) => seen(number, 10 * (number + 1))),
      );
      assert.deepEqual(await known(partition, 1, asked), allBut(0));
      await apply(partition, 1, [seen(0, 11)]);
      assert.deepEqual(await known(partition, 2, asked), allBut(0), "it is older than all");
      await apply(partition, 2, [seen(0, 10 * count + 10)]);
      assert.deepEqual(await known(partition, 3, asked), allBut(1));
    });

    test("they are applied, seeded and looked up under the conditions of all ids", async () => {
      const partition = await started();
      await apply(partition, 0, pump(1));
      assert.equal(await apply(partition, 0, pump(2)), false);
      assert.deepEqual(await known(partition, 1, pump(1, 2)), [true, false]);
      assert.equal(await window.lookup(partition, "p0", new Uint8Array(0), exactIds(pump(1))), null);
      await window.beginSeed(partition, "t1");
      assert.equal(await window.seed(partition, "t1", 1, exactEntries(pump(8))), false);
      assert.equal(await window.seed(partition, "t1", 0, exactEntries(pump(9))), true);
      const end = { chunks: 1, applied: "p5", streamTimeMs: baseSeconds * 1000 };
      assert.equal(await window.endSeed(partition, "t1", end), true);
      assert.deepEqual(await known(partition, 5, pump(1, 8, 9)), [false, false, true]);
    });

    test("thousands of devices in one apply, and the status", async () => {
      const partition = await started();
      const before = await window.status();
      const ids = Array.from({ length: 6000 }, (_, index) => ({
        device: `d${index % 5000}`,
        epoch: "e",
        sequence: index,
      }));
      await apply(partition, 0, ids);
      assert.ok((await known(partition, 1, ids)).every(Boolean));
      const next = ids.slice(1000).map((id) => ({ ...id, sequence: id.sequence + 1 }));
      assert.ok(!(await known(partition, 1, next)).some(Boolean));
      const status = await window.status();
      assert.equal(status.epochs - before.epochs, 5000);
      assert.ok(status.bytes - before.bytes >= 5000 * 60);
      assert.equal(status.isShort, false);
    });

    test("answers as the model does, whatever comes in whatever order", async () => {
      const sequence = fc.oneof(fc.nat(40), fc.nat(600), fc.nat(70_000));
      // Which of two epochs goes that were seen last in the same second is not said: here none are.
      const id = fc
        .record({
          device: fc.constantFrom("a", "b"),
          epoch: fc.nat(EXACT_EPOCHS_MAX + 1),
          sequence,
          turn: fc.nat(2),
        })
        .map(({ device, epoch, sequence, turn }) => {
          const seenAtSeconds = baseSeconds + (EXACT_EPOCHS_MAX + 2) * turn + epoch;
          return { device, epoch: `e${epoch}`, sequence, seenAtSeconds };
        });
      await fc.assert(
        fc.asyncProperty(fc.array(fc.array(id, { maxLength: 40 }), { maxLength: 6 }), async (applies) => {
          const partition = 19;
          await window.beginSeed(partition, "t");
          const end = { chunks: 0, applied: "p0", streamTimeMs: baseSeconds * 1000 };
          await window.endSeed(partition, "t", end);
          const model = new ExactModel();
          for (const [turn, ids] of applies.entries()) {
            for (const one of ids) model.add(one);
            assert.equal(await apply(partition, turn, ids), true);
            const near = ids.flatMap((one) =>
              [-EXACT_SPAN, -1, 0, 1, EXACT_SPAN].map((by) => ({
                ...one,
                sequence: Math.max(0, one.sequence + by),
              })),
            );
            const asked = [...near, ...applies.flat()];
            const expected = asked.map((one) => model.knows(one));
            assert.deepEqual(await known(partition, turn + 1, asked), expected);
          }
        }),
        { numRuns: Number(process.env["RUNS"] ?? 150) },
      );
    });
  });
}
