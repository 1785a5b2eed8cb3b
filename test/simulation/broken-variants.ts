import { createHash } from "node:crypto";
import type { BatchWriter } from "../../bridge/lake/batch-writer.ts";
import type { CommitEntry, CommitLog, LakeState, Move } from "../../bridge/lake/commit-log/commit-log.ts";
import { moveOf } from "../../bridge/lake/commit-log/past-partitions.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { DedupeKeyMaker } from "../../bridge/lake/consumer/ids/dedupe-key.ts";
import { dedupKeyBytes } from "../../bridge/lake/window/dedup-window.ts";
import type { Row } from "../../bridge/tail/row.ts";
import { publisherOf } from "../support/publisher-of.ts";
import type { BreakPorts, SimulationOptions } from "./run-simulation.ts";
import type { Violation } from "./violation.ts";
import { withCommitLog } from "./with-commit-log.ts";
import type { World } from "./world.ts";

/** The protocol without one of its details. The checkers must detect each variant. */
export interface BrokenVariant {
  readonly name: string;
  /** The checkers must report one of these rules. */
  readonly breaks: readonly Violation["rule"][];
  readonly options: Omit<SimulationOptions, "seed">;
}

/** Believes the window at any position. */
const ignoringApplied: BreakPorts = (ports) => {
  const { window } = ports;
  const positions = new Map<number, string>();
  const learned = (lake: LakeState): LakeState => {
    for (const [key, move] of lake.moves) positions.set(Number(key.split("/")[1]), move.to);
    return lake;
  };
  return {
    ...withCommitLog(ports, {
      load: async () => learned(await ports.commitLog.load()),
      reload: async () => learned(await ports.commitLog.reload()),
    }),
    window: { ...window, applied: async (partition) => positions.get(partition) ?? "" },
  };
};

/** The ids of a batch enter the window before its commit. */
const claimingBeforeCommit: BreakPorts = (ports, world) => {
  const { batch } = ports;
  let rows: { row: Row; topicId: string }[] = [];
  const claim = () => {
    for (const { row, topicId } of rows) world.window.claim(row.partition, entryOf(row, topicId));
    rows = [];
  };
  return {
    ...withCommitLog(ports, {
      append: (entry) => {
        claim();
        return ports.commitLog.append(entry);
      },
    }),
    batch: {
      add: (topic, row, values) => {
        rows.push({ row, topicId: topic.topicId });
        return batch.add(topic, row, values);
      },
      quarantine: (row, facts) => batch.quarantine(row, facts),
      write: () => batch.write(),
      discard: () => {
        rows = [];
        return batch.discard();
      },
      probe: (rows) => batch.probe(rows),
      get bytes() {
        return batch.bytes;
      },
      get rows() {
        return batch.rows;
      },
    },
  };
};

function entryOf(row: Row, topicId: string) {
  const keys = Buffer.alloc(dedupKeyBytes);
  const { deviceId, messageId } = row;
  if (messageId !== null) new DedupeKeyMaker().write(keys, 0, { topicId, deviceId, messageId });
  return {
    length: 1,
    keys,
    contentHashes: Uint32Array.of(row.payloadCrc >>> 0),
    expiresAtSeconds: Uint32Array.of(Math.ceil(row.streamTimeMs / 1000) + 15),
    filedAtSeconds: Uint32Array.of(Math.floor(row.streamTimeMs / 1000)),
    devices: Uint16Array.of(0),
  };
}

/** Retries a lost race for the next number without reading the winner's moves. */
const committingWithoutCompare: BreakPorts = (ports) =>
  withCommitLog(ports, {
    append: async (entry) => {
      for (;;) {
        const lake = await ports.commitLog.load();
        const moves = Object.entries(entry.moves).map(([key, move]): [string, Move] => [
          key,
          { ...move, from: moveOf(lake, key)?.to ?? "" },
        ]);
        const rebased = { ...entry, number: lake.number + 1, moves: Object.fromEntries(moves) };
        const appended = await ports.commitLog.append(rebased);
        if (appended.outcome === "committed") return appended;
      }
    },
  });

/** Commits positions and the first table's files in one entry, and further tables' files in separate ones. */
const committingTableByTable: BreakPorts = (ports) =>
  withCommitLog(ports, {
    append: async (entry) => {
      const [first, ...others] = Object.entries(entry.tables);
      const outcome = await ports.commitLog.append({
        ...entry,
        tables: Object.fromEntries(first ? [first] : []),
      });
      if (outcome.outcome !== "committed") return outcome;
      for (const table of others) await appendAlone(ports.commitLog, entry, table);
      return outcome;
    },
  });

async function appendAlone(
  log: CommitLog,
  entry: CommitEntry,
  table: [string, CommitEntry["tables"][string]],
) {
  const commitId = createHash("sha256").update(`${entry.commitId} ${table[0]}`).digest("hex");
  for (;;) {
    const { number } = await log.load();
    const own = { ...entry, commitId, number: number + 1, moves: {}, tables: Object.fromEntries([table]) };
    if ((await log.append(own)).outcome === "committed") return;
  }
}

/** Trims the stream before the commit. */
const trimmingBeforeCommit: BreakPorts = (ports: ConsumerOptions, _world: World) =>
  withCommitLog(ports, {
    append: async (entry) => {
      for (const [key, move] of Object.entries(entry.moves))
        await ports.trim(Number(key.split("/")[1]), move.to);
      return ports.commitLog.append(entry);
    },
  });

export function withBatch(ports: ConsumerOptions, changes: Partial<BatchWriter>): ConsumerOptions {
  const { batch } = ports;
  const unchanged: BatchWriter = {
    add: (topic, row, values) => batch.add(topic, row, values),
    quarantine: (row, facts) => batch.quarantine(row, facts),
    write: () => batch.write(),
    discard: () => batch.discard(),
    probe: (rows) => batch.probe(rows),
    get bytes() {
      return batch.bytes;
    },
    get rows() {
      return batch.rows;
    },
  };
  return { ...ports, batch: Object.defineProperties(unchanged, Object.getOwnPropertyDescriptors(changes)) };
}

/** Files a batch in reverse order. */
const filingBackwards: BreakPorts = (ports) => {
  const { batch } = ports;
  let held: (() => void | Promise<void>)[] = [];
  let heldBytes = 0;
  const hold = (row: Row, file: () => void | Promise<void>) => {
    held.push(file);
    heldBytes += row.payload.length;
  };
  const empty = () => {
    held = [];
    heldBytes = 0;
  };
  return withBatch(ports, {
    add: (topic, row, values) => hold(row, () => batch.add(topic, row, values)),
    quarantine: (row, facts) => hold(row, () => batch.quarantine(row, facts)),
    write: async () => {
      for (const file of held.toReversed()) await file();
      empty();
      return batch.write();
    },
    discard: () => {
      empty();
      return batch.discard();
    },
    probe: (rows) => batch.probe(rows),
    get bytes() {
      return batch.bytes + heldBytes;
    },
    get rows() {
      return batch.rows + held.length;
    },
  });
};

const quarantiningForAnyReason: BreakPorts = (ports) =>
  withBatch(ports, {
    quarantine: (row, facts) => ports.batch.quarantine(row, { ...facts, reason: "payload-undecodable" }),
  });

const countingDuplicatesAsFiled: BreakPorts = (ports) =>
  withCommitLog(ports, {
    append: (entry) => {
      const moves = Object.entries(entry.moves).map(([key, move]): [string, Move] => {
        const { filed, duplicates } = move.counters;
        return [key, { ...move, counters: { ...move.counters, filed: filed + duplicates, duplicates: 0 } }];
      });
      return ports.commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
    },
  });

/** A rebuilt window has other hashes than messages. */
const seedingOtherHashes: BreakPorts = (ports) => ({
  ...ports,
  seeds: {
    filed: (query) => ports.seeds.filed(query),
    async *rows(query) {
      for await (const rows of ports.seeds.rows(query))
        yield { ...rows, contentHashes: rows.contentHashes.map(() => 7) };
    },
  },
});

/** Looks ids up only under the message's own topic, although topics take names from each other. */
const forgettingFormerTopics: BreakPorts = (ports) => {
  const { topics } = ports;
  return {
    ...ports,
    topics: {
      version: (topicId, version) => topics.version(topicId, version),
      definitions: () => [],
      get size() {
        return topics.size;
      },
      longestWindowMs: () => topics.longestWindowMs(),
      exactTopicIds: () => topics.exactTopicIds(),
      refresh: () => topics.refresh(),
    },
  };
};

const publishingNothing: BreakPorts = (ports) => ({
  ...ports,
  publisher: publisherOf(async () => ({ published: 0 })),
});

export const brokenVariants: readonly BrokenVariant[] = [
  {
    name: "look-ups and applies without comparing `applied`",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ ignoresApplied: true }), breakPorts: ignoringApplied },
  },
  {
    name: "ids in the window before the commit",
    breaks: ["early-id"],
    options: { windowFaults: () => ({}), breakPorts: claimingBeforeCommit },
  },
  { name: "no compare on commit", breaks: ["doubled"], options: { breakPorts: committingWithoutCompare } },
  {
    name: "forgetting by wall clock",
    breaks: ["doubled"],
    options: { windowFaults: (clock) => ({ wallClockMs: () => clock.nowMs }) },
  },
  {
    name: "a full window that forgets the newest ids",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ forgets: { idsMax: 10, part: "newest" } }) },
  },
  {
    name: "a full window that collapses",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ forgets: { idsMax: 10, part: "all" } }) },
  },
  {
    name: "re-applying without comparing `applied`",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ appliesUnguarded: true }) },
  },
  {
    name: "applying without counting the parts",
    breaks: ["doubled"],
    options: {
      windowFaults: () => ({ appliesUncounted: true }),
      disturbance: 0.01,
      midwayDisturbance: 0.4,
    },
  },
  {
    name: "seeding without comparing the token",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ seedsUnguarded: true }) },
  },
  {
    name: "seeding without counting the chunks",
    breaks: ["doubled"],
    options: { windowFaults: () => ({ seedsUncounted: true }), midwayDisturbance: 0.2 },
  },
  {
    name: "seeding hashes that do not cover what was filed",
    breaks: ["doubled"],
    options: { breakPorts: seedingOtherHashes },
  },
  {
    name: "look-ups under a message's own topic alone after names went to another",
    breaks: ["doubled"],
    options: { breakPorts: forgettingFormerTopics },
  },
  { name: "one commit entry per table", breaks: ["lost"], options: { breakPorts: committingTableByTable } },
  {
    name: "trimming before the commit",
    breaks: ["lost", "stuck"],
    options: { breakPorts: trimmingBeforeCommit },
  },
  { name: "a batch filed backwards", breaks: ["order"], options: { breakPorts: filingBackwards } },
  {
    name: "quarantining for any reason",
    breaks: ["misfiled"],
    options: { breakPorts: quarantiningForAnyReason },
  },
  {
    name: "duplicates counted as filed",
    breaks: ["books"],
    options: { breakPorts: countingDuplicatesAsFiled },
  },
  {
    name: "commits that no table shows",
    breaks: ["half-visible"],
    options: { breakPorts: publishingNothing },
  },
];
