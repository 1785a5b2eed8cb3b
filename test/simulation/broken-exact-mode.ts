import { sequenceOfId } from "../../bridge/block/sdk-sequence.ts";
import { DedupeKeyMaker } from "../../bridge/lake/consumer/ids/dedupe-key.ts";
import { ExactIdColumns } from "../../bridge/lake/consumer/ids/exact-id-columns.ts";
import { windowColumns } from "../../bridge/lake/window/window-columns.ts";
import type { Row } from "../../bridge/tail/row.ts";
import { type BrokenVariant, withBatch } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";
import { exactTopicId } from "./workload.ts";

/** The exact ids of a batch enter the window before its commit. */
const claimingExactBeforeCommit: BreakPorts = (ports, world) => {
  const { batch } = ports;
  let claims: (() => void)[] = [];
  const claim = (row: Row, topicId: string) => {
    const sequence = row.messageId && sequenceOfId(row.messageId);
    if (row.messageId === null || sequence === null) return;
    const { deviceId, messageId, streamTimeMs } = row;
    const exact = new ExactIdColumns();
    exact.add(new DedupeKeyMaker(), { topicId, deviceId, messageId, sequence, streamTimeMs });
    const ids = exact.ids();
    if (ids) world.window.claim(row.partition, { length: 0, ...windowColumns(0), exact: ids });
  };
  return {
    ...withCommitLog(ports, {
      append: (entry) => {
        for (const make of claims) make();
        claims = [];
        return ports.commitLog.append(entry);
      },
    }),
    batch: {
      add: (topic, row, values) => {
        if (topic.dedupe === "exact") claims.push(() => claim(row, topic.topicId));
        return batch.add(topic, row, values);
      },
      quarantine: (row, facts) => batch.quarantine(row, facts),
      write: () => batch.write(),
      discard: () => {
        claims = [];
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

/** Takes other content under a known exact id for a resend. */
const countingReusedAway: BreakPorts = (ports) =>
  withBatch(ports, {
    quarantine: (row, facts) =>
      facts.topicId === exactTopicId ? undefined : ports.batch.quarantine(row, facts),
  });

/** The lake seems to lack the ids that only the exact mode still knows. */
const findingNothingOld: BreakPorts = (ports) => ({
  ...ports,
  seeds: { rows: (query) => ports.seeds.rows(query), filed: async () => [] },
});

/** Exact deduplication without one of its details. */
export const brokenExactMode: readonly BrokenVariant[] = [
  {
    name: "high-water marks in the window before the commit",
    breaks: ["misfiled"],
    options: { windowFaults: () => ({}), breakPorts: claimingExactBeforeCommit },
  },
  {
    name: "devices that run ahead of their oldest unacknowledged message",
    breaks: ["misfiled"],
    options: { ignoresSpan: true },
  },
  {
    name: "ids of exact topics that are used again counted away",
    breaks: ["lost"],
    options: { breakPorts: countingReusedAway },
  },
  {
    name: "ids of exact topics filed again without a look into the lake",
    breaks: ["doubled"],
    options: { breakPorts: findingNothingOld },
  },
];
