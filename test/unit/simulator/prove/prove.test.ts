import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatorError } from "../../../../simulator/errors.ts";
import { type ProofEnd, proveResult } from "../../../../simulator/prove/prove-result.ts";
import { clientFaults, compactionFault, parkingFaults } from "../../../../simulator/prove/strike.ts";
import { type DealtStrike, strikeLine } from "../../../../simulator/prove/striker.ts";
import { hasWorkInFlight, StrikeEvidence } from "../../../../simulator/prove/strikes/strike-evidence.ts";
import type { PartitionView, StatusView } from "../../../../simulator/prove/under-test/gateway-under-test.ts";

const counters = { read: 9, duplicates: 3, resent: 2 };
const partition: PartitionView = {
  ...({ partition: 0, state: "running", streamTimeMs: 0, position: "", openBytes: 0 } as const),
  ...{ lagBytes: 0, lagMs: 0, unaccounted: 0, halt: null, counters },
};
const consumer = { publishesRepaired: 0, replayedBatches: 0, partitions: [partition], window: null };
const run = { seed: 1, rounds: 1, folder: "/proof", strikes: [] };

function status(view: { inFlight?: number; openBytes?: number; upkeepWork?: string } = {}): StatusView {
  const partitions = [{ ...partition, openBytes: view.openBytes ?? 0 }];
  return {
    broker: { inFlightMessages: view.inFlight ?? 0 },
    consumer: { ...consumer, partitions },
    upkeep: { doing: view.upkeepWork === undefined ? null : { work: view.upkeepWork } },
    books: { unfounded: 0, isBalanced: true },
  };
}

const findings = "lost duplicated phantom altered misplaced misstated disordered mistimed logFaults".split(
  " ",
);
const nothingKept = {
  ...{ commits: 0, prunedCommits: 0, checkpoints: 0, cleanedEntries: 0, vacuums: 0, vacuumedFiles: 0 },
};
const deeds = { takeovers: 1, reboots: 1, cuts: 1, resent: 1, copies: 1, forgotten: 1, delivered: 1 };

function goodEnd(audit: Record<string, number> = {}): ProofEnd {
  const json = {
    sent: 10,
    acked: 10,
    stored: 10,
    quarantined: 0,
    lost: 0,
    duplicated: 0,
    phantom: 0,
    altered: 0,
    misplaced: 0,
    misstated: 0,
    disordered: 0,
    mistimed: 0,
    logFaults: 0,
    plannedReuse: 1,
    delivered: 100,
    undelivered: 4,
  };
  return {
    fleet: { exitCode: 0, json: deeds },
    audit: { exitCode: 0, json: { ...json, ...audit } },
    statuses: [status()],
    exitCodes: [0],
    crashes: [],
    maintenance: { ...nothingKept, commits: 10 },
    hostile: { published: 9, acknowledged: 8, refused: 1, filed: 2, quarantined: 6, faults: [] },
    window: { maxBytes: 2 ** 20 },
    failure: null,
    durationMs: 5,
  };
}

test("what was struck may say itself whether work was in flight, and what the gateways did that they must not", () => {
  const evidence = new StrikeEvidence();
  const busy = status({ inFlight: 5, openBytes: 5 });
  assert.equal(
    evidence.struck({ fault: "backlog", target: "consumers" }, busy, { isInFlight: false }),
    false,
  );
  assert.deepEqual(evidence.missed, ["backlog consumers"]);
  assert.equal(evidence.struck({ fault: "backlog", target: "consumers" }, null, { isInFlight: true }), true);
  assert.equal(
    evidence.struck({ fault: "copy", target: "data-folder" }, busy, { harm: "it killed the original" }),
    true,
  );
  evidence.struck({ fault: "spike", target: "clock" }, busy);
  evidence.struck({ fault: "step-back", target: "clock" }, busy);
  const { faults, clockSteps, copies } = proveResult(run, evidence, goodEnd());
  assert.deepEqual(faults, ["it killed the original"]);
  assert.deepEqual([clockSteps, copies], [{ clock: 2 }, { "data-folder": 1 }]);
});

test("a proof fails if hostile messages are missing from the tables, and the result has their counts", () => {
  const evidence = new StrikeEvidence();
  const busy = status({ inFlight: 5 });
  const strikes = [...clientFaults, ...parkingFaults, compactionFault] as const;
  for (const fault of strikes)
    evidence.struck({ fault, target: "tables" }, busy, { isInFlight: fault !== "foreign-widening" });
  const { hostile } = goodEnd();
  const gone = "1 hostile messages were acknowledged and are in no table nor in _quarantine: nested (x)";
  const result = proveResult(run, evidence, { ...goodEnd(), hostile: { ...hostile, faults: [gone] } });
  assert.deepEqual(result.faults, [gone, "no foreign-widening tables struck work in flight"]);
  assert.deepEqual([result.parkings, result.compactions], [{ tables: 2 }, { tables: 1 }]);
  assert.deepEqual([result.hostilePayloads, result.hostileSubscribers], [{ tables: 1 }, { tables: 1 }]);
  assert.deepEqual(result.hostile, { published: 9, acknowledged: 8, refused: 1, filed: 2, quarantined: 6 });
});

test("each strike is a line with time, round, kind, target, and whether it met work in flight", () => {
  const dealt: DealtStrike = {
    atMs: Date.UTC(2026, 10, 28, 1, 2, 3, 45),
    round: 2,
    fault: "step-forward",
    target: "clock",
    gateway: 1,
    isAtCommit: true,
    wasInFlight: true,
    detail: "from +0 s to +2 h",
  };
  assert.equal(
    strikeLine(dealt, { rounds: 30, gateways: 2 }),
    "01:02:03.045 round 2/30: step-forward clock of gateway 2 · from +0 s to +2 h · at a commit · work in flight",
  );
  const quiet = {
    ...dealt,
    fault: "kill",
    target: "stream-server",
    isAtCommit: false,
    wasInFlight: false,
    detail: "",
  } as const;
  assert.equal(
    strikeLine(quiet, { rounds: 3, gateways: 2 }),
    "01:02:03.045 round 2/3: kill stream-server · NO work in flight",
  );
});

test("a fault of calls counts if it struck a call, whatever else was in flight", () => {
  const evidence = new StrikeEvidence();
  const busy = status({ inFlight: 5, openBytes: 5 });
  evidence.struck({ fault: "late-put", target: "lake-server" }, busy, { calls: 0 });
  assert.deepEqual(evidence.missed, ["late-put lake-server"]);
  evidence.struck({ fault: "late-put", target: "lake-server" }, null, { calls: 2 });
  evidence.struck({ fault: "late-put", target: "stream-server" }, null, { calls: 3 });
  assert.deepEqual(evidence.missed, []);
  const { calls, splits, faults } = proveResult(run, evidence, goodEnd());
  assert.deepEqual(calls, { "late-put": { "lake-server": 2, "stream-server": 3 } });
  assert.deepEqual([splits, faults], [{}, []]);
});

test("a proof holds only if every check holds", () => {
  const evidence = new StrikeEvidence();
  const proved = proveResult(run, evidence, goodEnd());
  assert.deepEqual(proved.faults, []);
  assert.equal(proved.duplicatesDropped, 5);
  const faults = (end: ProofEnd) => proveResult(run, evidence, end).faults.join("; ");
  for (const name of findings) assert.match(faults(goodEnd({ [name]: 1 })), new RegExp(`${name}: 1`));
  assert.match(faults({ ...goodEnd(), failure: "not ready: STREAM_GAP" }), /STREAM_GAP/);
  assert.match(faults(goodEnd({ acked: 0 })), /nothing was acknowledged/);
  assert.match(faults({ ...goodEnd(), exitCodes: [0, null] }), /gateway stopped/);
  const crash = { role: "broker", pid: 7, code: 1 };
  assert.match(
    faults({ ...goodEnd(), crashes: [{ ...crash, refusal: null }] }),
    /a broker \(7\) ended by itself with exit code 1$/m,
  );
  assert.match(
    faults({ ...goodEnd(), crashes: [{ ...crash, refusal: "LAKE_DAMAGED" }] }),
    /\(LAKE_DAMAGED\)/,
  );
  assert.match(faults({ ...goodEnd(), statuses: [status(), null] }), /books could not be read/);
  assert.match(faults({ ...goodEnd(), fleet: { exitCode: 1, json: null } }), /fleet ended/);
  assert.match(faults({ ...goodEnd(), audit: { ...goodEnd().audit, exitCode: 1 } }), /audit ended/);
  const stopped = { ...partition, unaccounted: 4, halt: { code: "STREAM_GAP" } };
  const gap = { ...status(), consumer: { ...consumer, partitions: [stopped] } };
  assert.match(
    faults({ ...goodEnd(), statuses: [status(), gap] }),
    /STREAM_GAP.*4 acknowledged messages are unaccounted/,
  );
});

test("books that do not balance, and acknowledgements without an append, prove nothing, whichever broker wrote them", () => {
  const unbalanced = { ...status(), books: { unfounded: 0, isBalanced: false } };
  const atEnd = { ...goodEnd(), statuses: [status(), unbalanced] };
  assert.deepEqual(proveResult(run, new StrikeEvidence(), atEnd).faults, [
    "the gateway's books do not balance",
  ]);
  const evidence = new StrikeEvidence();
  const unfounded = { ...status({ inFlight: 1 }), books: { unfounded: 2, isBalanced: false } };
  evidence.struck({ fault: "kill", target: "broker" }, unfounded);
  evidence.observed(status(), 7);
  const result = proveResult(run, evidence, goodEnd());
  assert.equal(result.unfounded, 2);
  assert.match(result.faults.join("; "), /at least 2 acknowledgements have no message in the stream/);
});

test("a fleet that did not do all that it can, or whose messages without an answer got lost, proves nothing", () => {
  const faults = (end: ProofEnd) => proveResult(run, new StrikeEvidence(), end).faults;
  for (const name of Object.keys(deeds).filter((each) => each !== "forgotten")) {
    const fleet = { exitCode: 0, json: { ...deeds, [name]: 0 } };
    assert.deepEqual(faults({ ...goodEnd(), fleet }), [`the fleet had no ${name}`]);
  }
  assert.deepEqual(faults(goodEnd({ plannedReuse: 0 })), ["no id was used again"]);
  const lost = "6 of 100 messages that were left with a gateway are nowhere";
  assert.deepEqual(faults(goodEnd({ undelivered: 6 })), [lost]);
  assert.deepEqual(faults(goodEnd({ delivered: 2, undelivered: 2 })), []);
  assert.equal(faults(goodEnd({ undelivered: Number.NaN })).length, 1);
});

test("a proof that was long enough for housekeeping and met none proves nothing", () => {
  const faults = (maintenance: Partial<ProofEnd["maintenance"]>, durationMs = 600_000) => {
    const end = goodEnd();
    const done = { commits: 500, prunedCommits: 1, checkpoints: 1, cleanedEntries: 1, vacuums: 1 };
    const seen = { ...nothingKept, ...done, ...maintenance };
    return proveResult(run, new StrikeEvidence(), { ...end, maintenance: seen, durationMs }).faults;
  };
  assert.deepEqual(faults({}), []);
  assert.deepEqual(faults({ checkpoints: 0 }), ["no checkpoint was written"]);
  assert.deepEqual(faults({ prunedCommits: 0 }), ["no entry of the commit log was pruned"]);
  assert.deepEqual(faults({ cleanedEntries: 0 }), ["no entry of a table's log was cleaned up"]);
  assert.deepEqual(faults({ vacuums: 0 }), ["vacuum never ran"]);
  assert.deepEqual(faults({ prunedCommits: 0, cleanedEntries: 0, vacuums: 0 }, 60_000), []);
});

test("a proof with more ids than the dedupe window holds fails unless the window was full", () => {
  const evidence = new StrikeEvidence();
  const end = { ...goodEnd({ acked: 200_000 }), durationMs: 300_000 };
  const faults = (other: Partial<ProofEnd> = {}) => proveResult(run, evidence, { ...end, ...other }).faults;
  assert.deepEqual(faults({ window: { maxBytes: 3 * 2 ** 20 } }), ["no dedupe window was ever full"]);
  assert.deepEqual(faults({ window: { maxBytes: 5 * 2 ** 20 } }), []);
  assert.deepEqual(faults({ window: { maxBytes: null } }), []);
  assert.deepEqual(faults({ durationMs: 200_000 }), []);
  for (const [pid, window] of [
    [7, null],
    [7, { isShort: true, spanMs: 90_000 }],
    [8, { isShort: true, spanMs: 80_000 }],
    [8, { isShort: false, spanMs: 10 }],
  ] as const)
    evidence.observed({ ...status(), consumer: { ...consumer, window } }, pid);
  assert.deepEqual(faults(), []);
  assert.equal(proveResult(run, evidence, end).fullWindowSpanMs, 80_000);
});

test("numbers that are missing, or books without a partition, prove nothing", () => {
  const faults = (end: ProofEnd) => proveResult(run, new StrikeEvidence(), end).faults.join("; ");
  const bare = faults({ ...goodEnd(), audit: { exitCode: 0, json: {} } });
  for (const name of findings) assert.match(bare, new RegExp(`${name}: NaN`));
  assert.match(bare, /nothing was acknowledged/);
  const empty = { ...status(), consumer: { ...consumer, partitions: [] } };
  assert.match(faults({ ...goodEnd(), statuses: [empty] }), /books could not be read/);
  assert.equal(faults({ ...goodEnd(), statuses: [status(), empty] }), "", "another gateway has them all");
});

test("a broker is at work while it holds messages, a consumer while it has read some, the upkeep during its work; the others while broker or consumer is", () => {
  const brokers = status({ inFlight: 1 });
  const consumers = status({ openBytes: 1 });
  const upkeeps = status({ upkeepWork: "vacuum" });
  const at = (target: Parameters<typeof hasWorkInFlight>[0]) =>
    [brokers, consumers, upkeeps, status()].map((view) => hasWorkInFlight(target, view));
  assert.deepEqual(at("broker"), [true, false, false, false]);
  assert.deepEqual(at("consumer"), [false, true, false, false]);
  assert.deepEqual(at("upkeep"), [false, false, true, false]);
  assert.deepEqual([at("topics"), at("tables")], [at("broker"), at("consumer")]);
  for (const target of [
    "supervisor",
    "stream-server",
    "window-server",
    "clock",
    "data-folder",
    "clients",
  ] as const)
    assert.deepEqual(at(target), [true, true, false, false]);
  const silent = { broker: null, consumer: null, upkeep: null, books: null };
  for (const target of ["supervisor", "upkeep"] as const)
    assert.equal(hasWorkInFlight(target, silent), false);
});

test("an audit that says nothing is PROVE_AUDIT_FAILED", () => {
  assert.throws(
    () => proveResult(run, new StrikeEvidence(), { ...goodEnd(), audit: { exitCode: 1, json: null } }),
    (error) => error instanceof SimulatorError && error.code === "PROVE_AUDIT_FAILED",
  );
});

test("a kind of fault that never struck work in flight proves nothing", () => {
  const evidence = new StrikeEvidence();
  evidence.struck({ fault: "kill", target: "broker" }, status({ inFlight: 0 }));
  evidence.struck({ fault: "kill", target: "consumer" }, status({ openBytes: 100 }));
  evidence.struck({ fault: "pause", target: "supervisor" }, null);
  assert.deepEqual(evidence.missed, ["kill broker", "pause supervisor"]);
  evidence.observed({ ...status(), consumer: { ...consumer, replayedBatches: 1 } }, 7);
  evidence.observed({ ...status(), consumer: { ...consumer, replayedBatches: 2, publishesRepaired: 1 } }, 7);
  evidence.observed({ ...status(), consumer: { ...consumer, replayedBatches: 1 } }, 8);
  evidence.observed(null, 8);
  assert.deepEqual([evidence.replayedBatches, evidence.publishesRepaired], [3, 1]);
  evidence.struck({ fault: "kill", target: "broker" }, status({ inFlight: 7 }));
  assert.deepEqual(evidence.strikes("kill"), { broker: 2, consumer: 1 });
  assert.deepEqual(evidence.inFlight, { kill: { broker: 1, consumer: 1 }, pause: { supervisor: 0 } });
  assert.deepEqual(evidence.missed, ["pause supervisor"]);
  const { faults } = proveResult(run, evidence, goodEnd());
  assert.deepEqual(faults, ["no pause supervisor struck work in flight"]);
});
