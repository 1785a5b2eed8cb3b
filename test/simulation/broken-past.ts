import {
  type LakeState,
  type Move,
  noCounters,
  type PastPartitions,
} from "../../bridge/lake/commit-log/commit-log.ts";
import { partitionOfKey } from "../../bridge/streams/partition-key.ts";
import { endPosition, startPosition } from "../../bridge/streams/stream-log.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";

/** Consumers that see the lake's state after `change`. Their commits are compared with the whole state. */
function knowing(change: (lake: LakeState) => LakeState): BreakPorts {
  return (ports) =>
    withCommitLog(ports, {
      load: async () => change(await ports.commitLog.load()),
      reload: async () => change(await ports.commitLog.reload()),
    });
}

function withPast(
  lake: LakeState,
  change: (past: PastPartitions, streamId: string) => PastPartitions,
): LakeState {
  const past = [...lake.past].map(([streamId, each]) => [streamId, change(each, streamId)] as const);
  return { ...lake, past: new Map(past) };
}

/** Takes ended partitions for past by a condition on the moves of their successors. */
function pastOnce(isEnough: (children: readonly Move[]) => boolean): BreakPorts {
  return knowing((lake) => {
    const children = (key: string) => {
      const { streamId, partition } = partitionOfKey(key);
      const isOfIt = ([other, { parents = [] }]: [string, Move]) =>
        partitionOfKey(other).streamId === streamId && parents.includes(partition);
      return [...lake.moves].filter(isOfIt).map(([, move]) => move);
    };
    let early = lake;
    for (const [key, move] of lake.moves)
      if (move.to === endPosition && isEnough(children(key))) early = without(early, key, move);
    return early;
  });
}

function without(lake: LakeState, key: string, { streamTimeMs, commit = 0 }: Move): LakeState {
  const { streamId, partition } = partitionOfKey(key);
  const moves = new Map(lake.moves);
  moves.delete(key);
  const { ranges, rows, counters } = lake.past.get(streamId) ?? {
    ranges: [],
    rows: {},
    counters: noCounters,
  };
  const grown = {
    ranges: [...ranges, [partition, partition]] as const,
    rows: { ...rows, [partition]: { streamTimeMs, commit } },
    counters,
  };
  return { ...lake, moves, past: new Map(lake.past).set(streamId, grown) };
}

const forgettingOnceRecorded = pastOnce((children) => children.length > 0);
const forgettingOnceOneHasBegun = pastOnce((children) => children.some(({ to }) => to !== startPosition));
const forgettingRowsAtOnce = knowing((lake) => withPast(lake, (past) => ({ ...past, rows: {} })));
const forgettingThatTheyEnded = knowing((lake) => withPast(lake, (past) => ({ ...past, ranges: [] })));

const exactTopicsWithoutPastRows: BreakPorts = (ports) => ({
  ...ports,
  seeds: {
    filed: (query) => ports.seeds.filed(query),
    rows: (query) => ports.seeds.rows({ ...query, pastPartitions: new Map() }),
  },
});

/** Variants that give up too much of replaced partitions. */
export const brokenPast: readonly BrokenVariant[] = [
  {
    name: "partitions past as soon as those that took their place are recorded",
    breaks: ["books", "halted", "misfiled", "doubled"],
    options: { breakPorts: forgettingOnceRecorded },
  },
  {
    name: "partitions past once the first of those that took their place has begun",
    breaks: ["books", "halted", "misfiled", "doubled"],
    options: { breakPorts: forgettingOnceOneHasBegun },
  },
  {
    name: "rows of past partitions forgotten together with their moves",
    breaks: ["doubled"],
    options: { breakPorts: forgettingRowsAtOnce },
  },
  {
    name: "exact topics without the rows that no window with a span wants any more",
    breaks: ["doubled"],
    options: { breakPorts: exactTopicsWithoutPastRows },
  },
  {
    name: "past partitions taken for some that were never read",
    breaks: ["stuck", "halted", "crashed"],
    options: { breakPorts: forgettingThatTheyEnded },
  },
];
