import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { SimulatorError } from "../../../simulator/errors.ts";
import { Bitmap } from "../../../simulator/ledger/bitmap.ts";
import { type IndexListName, indexListNames } from "../../../simulator/ledger/ledger-frame.ts";
import { openLedger, type RunLedger } from "../../../simulator/ledger/ledger-reader.ts";
import { LedgerWriter, prepareLedgerFolder, runFolders } from "../../../simulator/ledger/ledger-writer.ts";
import { newRunId } from "../../../simulator/simulate.ts";
import { scenarioOf } from "./scenario-of.ts";

const root = mkdtempSync(join(tmpdir(), "tidegate-ledger-"));
after(() => rmSync(root, { recursive: true, force: true }));

const total = 5000;
let folders = 0;

function newFolder(): string {
  const folder = join(root, String(++folders));
  prepareLedgerFolder(folder, false);
  return folder;
}

function newWriter(folder: string): LedgerWriter {
  const scenario = scenarioOf({ runId: newRunId(), rate: 1000, durationS: total / 1000 });
  return new LedgerWriter(folder, { startedAtMs: 1, mqttUrl: "mqtt://127.0.0.1:1883", scenario });
}

function eventsOf(folder: string): string {
  return join(runFolders(folder)[0] ?? "", "events");
}

function open(folder: string): RunLedger {
  const [run] = openLedger(folder);
  assert.ok(run);
  return run;
}

function code(expected: string): (error: unknown) => boolean {
  return (error) => error instanceof SimulatorError && error.code === expected;
}

function members(bitmap: Bitmap): number[] {
  return [...bitmap.without()];
}

type Kind = IndexListName;
type Step = { kind: Kind; index: number } | { kind: "flush" };
const index = fc.nat({ max: total - 1 });
const steps = fc.array(
  fc.oneof(
    {
      weight: 10,
      arbitrary: fc.record({
        kind: fc.constantFrom(...indexListNames),
        index,
      }),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "flush" as const }) },
  ),
  { maxLength: 200 },
);

function emptyModel(): Record<Kind, Set<number>> {
  return Object.fromEntries(indexListNames.map((name) => [name, new Set<number>()])) as Record<
    Kind,
    Set<number>
  >;
}

function play(writer: LedgerWriter, list: readonly Step[], model: Record<Kind, Set<number>>): void {
  for (const step of list) {
    if (step.kind === "flush") writer.flush();
    else {
      if (step.kind === "sent") writer.reach(step.index);
      writer[step.kind](step.index);
      model[step.kind].add(step.index);
    }
  }
}

test("what was written is read, in whatever order", () => {
  fc.assert(
    fc.property(steps, (list) => {
      const folder = newFolder();
      const writer = newWriter(folder);
      const model = emptyModel();
      play(writer, list, model);
      writer.close();
      const run = open(folder);
      for (const kind of indexListNames)
        assert.deepEqual(
          members(run[kind]),
          [...model[kind]].sort((a, b) => a - b),
        );
      assert.ok(run.isComplete);
      for (let at = 0; at < total; at += 7)
        assert.equal(run.mayHaveBeenSent(at), model.sent.has(at) || model.acked.has(at));
    }),
    { numRuns: 40 },
  );
});

test("a ledger torn at any byte is readable: it says a part of the truth, and never less than what left the process", () => {
  fc.assert(
    fc.property(steps, fc.double({ min: 0, max: 1, noNaN: true }), (list, share) => {
      const folder = newFolder();
      const writer = newWriter(folder);
      const model = emptyModel();
      play(writer, list, model);
      writer.flush();
      const events = eventsOf(folder);
      truncateSync(events, Math.floor(readFileSync(events).length * share));
      const run = open(folder);
      for (const kind of indexListNames)
        for (const member of members(run[kind])) assert.ok(model[kind].has(member));
      for (const sent of members(run.sent)) assert.ok(run.mayHaveBeenSent(sent));
    }),
    { numRuns: 40 },
  );
});

test("a message may leave the process only once the ledger on disk allows for it, also without a flush", () => {
  const folder = newFolder();
  const writer = newWriter(folder);
  for (const reached of [0, 1, 999, 1000, 2500, 4999]) {
    writer.reach(reached);
    assert.ok(open(folder).mayHaveBeenSent(reached));
  }
  const other = newFolder();
  newWriter(other).reach(0);
  assert.equal(open(other).mayHaveBeenSent(4999), false);
});

test("a reader reads on while the run goes on, also from the middle of a frame", () => {
  const folder = newFolder();
  const writer = newWriter(folder);
  for (let sent = 0; sent < 100; sent++) writer.sent(sent);
  writer.flush();
  const events = eventsOf(folder);
  const whole = readFileSync(events);
  // The time of the flush is the last frame, and the list before it is torn.
  writeFileSync(events, whole.subarray(0, whole.length - 20));
  const run = open(folder);
  assert.equal(run.sent.count, 0);
  writeFileSync(events, whole);
  run.refresh();
  assert.equal(run.sent.count, 100);
  assert.equal(run.isComplete, false);
});

test("a replay tells what happened in its order, and between which times", () => {
  const folder = newFolder();
  const scenario = scenarioOf({ runId: newRunId(), rate: 1000, durationS: total / 1000 });
  const writer = new LedgerWriter(folder, { startedAtMs: 1_000, mqttUrl: "mqtt://127.0.0.1:1883", scenario });
  writer.reach(10);
  for (const index of [3, 1, 2]) writer.sent(index);
  writer.flush(1_250);
  writer.acked(2);
  writer.acked(1);
  writer.again(1);
  writer.flush(1_500);
  writer.delivered(3);
  writer.close();
  const told: unknown[] = [];
  const run = open(folder);
  run.replay({ index: (name, index) => told.push([name, index]), time: (elapsedMs) => told.push(elapsedMs) });
  assert.deepEqual(told.slice(0, -1), [
    ...[["sent", 3], ["sent", 1], ["sent", 2], 250],
    ...[["acked", 2], ["acked", 1], ["again", 1], 500],
    ["delivered", 3],
  ]);
  assert.equal(typeof told.at(-1), "number");
  assert.deepEqual([members(run.again), members(run.delivered)], [[1], [3]]);
});

test("long lists take several frames", () => {
  const folder = newFolder();
  const writer = newWriter(folder);
  // Steps of 2,500 back and forth take 2 bytes each.
  for (let round = 0; round < 40; round++)
    for (let sent = 0; sent < total; sent++) writer.acked((sent * 2503) % total);
  writer.close();
  assert.ok(readFileSync(eventsOf(folder)).length > 300_000);
  assert.equal(open(folder).acked.count, total);
});

test("a changed byte in the middle is LEDGER_DAMAGED, not believed", () => {
  const folder = newFolder();
  const writer = newWriter(folder);
  writer.reach(0);
  for (let sent = 0; sent < 50; sent++) writer.sent(sent);
  writer.close();
  const events = eventsOf(folder);
  const bytes = readFileSync(events);
  for (let at = 0; at < bytes.length - 20; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 0x40;
    writeFileSync(events, changed);
    try {
      const run = open(folder);
      // A length that became larger reads as a torn tail: then less is known, and nothing wrong.
      assert.ok(!run.isComplete && members(run.sent).every((sent) => sent < 50));
    } catch (error) {
      assert.ok(code("LEDGER_DAMAGED")(error), String(error));
    }
  }
});

test("a folder with a run is refused, unless it is to be appended to", () => {
  const folder = newFolder();
  newWriter(folder).close();
  assert.throws(() => prepareLedgerFolder(folder, false), code("LEDGER_EXISTS"));
  prepareLedgerFolder(folder, true);
  newWriter(folder).close();
  assert.equal(openLedger(folder).length, 2);
});

test("a folder without a run is LEDGER_MISSING, a head of another version or none is LEDGER_UNREADABLE", () => {
  assert.throws(() => openLedger(join(root, "nowhere")), code("LEDGER_MISSING"));
  assert.throws(() => openLedger(newFolder()), code("LEDGER_MISSING"));
  const folder = newFolder();
  newWriter(folder).close();
  const head = join(runFolders(folder)[0] ?? "", "run.json");
  const text = readFileSync(head, "utf8");
  for (const changed of [
    "",
    "{}",
    text.replace('"version": 2', '"version": 3'),
    text.replace('"devices": 100', '"devices": 0'),
    text.replace('"qos": 1', '"qos": 3'),
    text.replace('"faults": {}', '"faults": { "fire": 0.1 }'),
    text.replace('"faults": {}', '"faults": {}, "mix": { "typed": 2 }'),
  ]) {
    writeFileSync(head, changed);
    assert.throws(() => openLedger(folder), code("LEDGER_UNREADABLE"));
  }
  writeFileSync(head, text.replace('"version": 2', '"version": 3'));
  assert.throws(() => openLedger(folder), /newer simulator/);
  writeFileSync(head, text.replace('"version": 2', '"version": 1'));
  assert.equal(openLedger(folder).length, 1);
});

test("a ledger that cannot be written is LEDGER_WRITE_FAILED", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  assert.throws(() => prepareLedgerFolder(join(file, "ledger"), false), code("LEDGER_WRITE_FAILED"));
  assert.throws(() => newWriter(join(root, "nowhere")), code("LEDGER_WRITE_FAILED"));
});

test("a bitmap is a set of numbers", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 120 })), fc.array(fc.nat({ max: 99 })), (added, others) => {
      const bitmap = new Bitmap(100);
      const other = new Bitmap(100);
      const model = new Set<number>();
      for (const number of added) {
        // Numbers up to the end of the last byte are taken; what is beyond is not.
        const isNew = number < 104 && !model.has(number);
        assert.equal(bitmap.add(number), isNew);
        if (isNew) model.add(number);
        assert.equal(bitmap.has(number), number < 104);
      }
      for (const number of others) other.add(number);
      assert.equal(bitmap.count, model.size);
      const expected = [...model].filter((number) => !other.has(number)).sort((a, b) => a - b);
      assert.deepEqual([...bitmap.without(other)], expected);
      const all = [...new Set([...model, ...members(other)])].sort((a, b) => a - b);
      bitmap.addAll(other);
      assert.deepEqual([bitmap.count, members(bitmap)], [all.length, all]);
      bitmap.clear();
      assert.deepEqual([bitmap.count, [...bitmap.without()]], [0, []]);
    }),
  );
});
