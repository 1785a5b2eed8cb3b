import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { exactSequenceMax } from "../../bridge/block/sdk-sequence.ts";
import {
  type DedupWindow,
  type ExactIds,
  exactEpochBytes,
  exactEpochsMax,
  exactSpan,
  type WindowEntries,
} from "../../bridge/lake/window/dedup-window.ts";
import { type ExactId, ExactModel } from "../support/exact-model.ts";
import { windowEntries, windowKey } from "./dedup-window-contract.ts";

const baseSeconds = 1_700_000_000;
const weekSeconds = 7 * 86_400;

type SomeExactId = Omit<ExactId, "seenAtSeconds"> & Partial<ExactId>;

function exactIds(ids: readonly SomeExactId[]): ExactIds {
  return {
    length: ids.length,
    deviceKeys: Buffer.concat(ids.map(({ device }) => windowKey(`device ${device}`))),
    epochs: Buffer.concat(ids.map(({ epoch }) => windowKey(`epoch ${epoch}`).subarray(0, exactEpochBytes))),
    sequences: Float64Array.from(ids, ({ sequence }) => sequence),
    seenAtSeconds: Uint32Array.from(ids, ({ seenAtSeconds }) => seenAtSeconds ?? baseSeconds),
  };
}

/** Entries of exact ids alone. */
function exactEntries(ids: readonly SomeExactId[]): WindowEntries {
  return { ...windowEntries([]), exact: exactIds(ids) };
}

/** The contract of DedupWindow for exact ids. `open` returns a new empty window; the test closes it. */
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

    test("a sequence is known if its bit is set or if it is below the span; no sequence above the highest is known", async () => {
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
      const behind = 1003 - exactSpan;
      assert.deepEqual(await known(partition, 1, pump(0, behind - 1, behind, behind + 1)), [
        true,
        true,
        true,
        false,
      ]);
    });

    test("the same sequence of another device or another epoch is another id", async () => {
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
      assert.deepEqual(await known(partition, 2, pump(0, 70_000 - exactSpan + 1, 70_000)), [
        true,
        false,
        true,
      ]);
      await apply(partition, 2, pump(exactSequenceMax));
      assert.deepEqual(await known(partition, 3, pump(70_000, exactSequenceMax - 1, exactSequenceMax)), [
        true,
        false,
        true,
      ]);
    });

    test("no sequence is truncated: sequences around each power of two, up to the largest, stay distinct", async () => {
      const partition = await started();
      const powers = [16, 24, 31, 32, 33, 40, 47].map((bits) => 2 ** bits);
      const edges = [...powers, exactSequenceMax - 1];
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
        "a new sequence with the same low bytes",
      );
      await apply(partition, 1, at(-2));
      const asked = at(-3, -2, -1, 0, 1);
      const answers = (each: readonly boolean[]) => edges.flatMap(() => each);
      assert.deepEqual(await known(partition, 2, asked), answers([false, true, false, false, false]));
      await apply(partition, 2, at(0));
      assert.deepEqual(await known(partition, 3, asked), answers([false, true, false, true, false]));
      await apply(partition, 3, at(1));
      assert.deepEqual(await known(partition, 4, asked), answers([false, true, false, true, true]));
      assert.deepEqual(await known(partition, 4, at(1 - exactSpan, 2 - exactSpan)), answers([true, false]));
    });

    test("exact ids outlast any stream time, unlike the other ids in the window", async () => {
      const partition = await started();
      const entries = windowEntries(["a"], { expiresAtSeconds: baseSeconds + 10 });
      const step = { from: "p0", to: "p1", streamTimeMs: baseSeconds * 1000 };
      await window.apply(partition, step, { ...entries, exact: exactIds(pump(5)) });
      for (let turn = 1; turn < 40; turn++) await apply(partition, turn, [], turn * weekSeconds);
      assert.deepEqual(await known(partition, 40, pump(5, 6)), [true, false]);
    });

    test("the epochs of a device that were seen last are kept, in whatever order they arrived", async () => {
      const partition = await started();
      const seen = (number: number, seenAtSeconds: number) => ({
        device: "pump",
        epoch: `e${number}`,
        sequence: 3,
        seenAtSeconds,
      });
      const count = exactEpochsMax + 1;
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
      assert.deepEqual(await known(partition, 2, asked), allBut(0), "epoch 0 is older than all others");
      await apply(partition, 2, [seen(0, 10 * count + 10)]);
      assert.deepEqual(await known(partition, 3, asked), allBut(1));
    });

    test("exact ids are applied, seeded and looked up under the conditions of all ids", async () => {
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

    test("one apply takes thousands of devices, and the status counts them", async () => {
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

    test("the window answers like the model, for any ids in any order", async () => {
      const sequence = fc.oneof(fc.nat(40), fc.nat(600), fc.nat(70_000));
      // If two epochs were last seen in the same second, either may be forgotten; here no two are.
      const id = fc
        .record({
          device: fc.constantFrom("a", "b"),
          epoch: fc.nat(exactEpochsMax + 1),
          sequence,
          turn: fc.nat(2),
        })
        .map(({ device, epoch, sequence, turn }) => {
          const seenAtSeconds = baseSeconds + (exactEpochsMax + 2) * turn + epoch;
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
              [-exactSpan, -1, 0, 1, exactSpan].map((by) => ({
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
