import type { LakeState, Move } from "../../bridge/lake/commit-log/commit-log.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";
import { partitionOfKey } from "../../bridge/streams/partition-key.ts";
import type { PartitionMap } from "../../bridge/streams/partition-map.ts";
import { endPosition } from "../../bridge/streams/stream-log.ts";
import type { BrokenVariant } from "./broken-variants.ts";
import type { BreakPorts } from "./run-simulation.ts";
import { withCommitLog } from "./with-commit-log.ts";

function withPartitions(
  ports: ConsumerOptions,
  change: (map: PartitionMap) => PartitionMap,
): ConsumerOptions {
  const { stream } = ports;
  let seen = stream.partitions;
  let changed = change(seen);
  return {
    ...ports,
    stream: {
      ...stream,
      get partitions() {
        if (seen !== stream.partitions) {
          seen = stream.partitions;
          changed = change(seen);
        }
        return changed;
      },
    },
  };
}

const readingChildrenAtOnce: BreakPorts = (ports) =>
  withPartitions(ports, (map) => ({
    ...map,
    all: map.all.map((partition) => ({ ...partition, parents: [] })),
  }));

/** Reads a partition that the lake knows at once, before this process knows the partition's parents. */
const readingUnheardPartitions: BreakPorts = (ports) => {
  const { commitLog } = ports;
  const inLake = new Set<number>();
  const learned = (lake: LakeState): LakeState => {
    for (const key of lake.moves.keys()) inLake.add(partitionOfKey(key).partition);
    return lake;
  };
  const changed = withCommitLog(ports, {
    load: async () => learned(await commitLog.load()),
    reload: async () => learned(await commitLog.reload()),
  });
  const unheard = ({ all }: PartitionMap) =>
    [...inLake].filter((partition) => all.every((each) => each.partition !== partition));
  return withPartitions(changed, (map) => ({
    ...map,
    get all() {
      return [...map.all, ...unheard(map).map((partition) => ({ partition, parents: [], isOpen: true }))];
    },
  }));
};

const seedingChildrenFromNothing: BreakPorts = (ports) =>
  withPartitions(ports, (map) => ({ ...map, takes: () => false }));

const seedingWithRowsOfOthers: BreakPorts = (ports) => ({
  ...ports,
  seeds: {
    filed: (query) => ports.seeds.filed(query),
    async *rows(query) {
      for await (const rows of ports.seeds.rows(query))
        yield { ...rows, parts: rows.parts.map((part) => (part + 1) % query.parts.length) };
    },
  },
});

const inheritingNoMarks: BreakPorts = (ports) => {
  const { commitLog } = ports;
  return withCommitLog(ports, {
    load: async () => {
      const lake = await commitLog.load();
      const moves = [...lake.moves].map(([key, move]): [string, Move] =>
        move.to === endPosition ? [key, { ...move, producers: {} }] : [key, move],
      );
      return { ...lake, moves: new Map(moves) };
    },
  });
};

/** Variants in which the successors of a divided partition do not continue from it. */
export const brokenDivisions: readonly BrokenVariant[] = [
  {
    name: "partitions read before those whose place they took",
    breaks: ["order", "doubled"],
    options: { breakPorts: readingChildrenAtOnce },
  },
  {
    name: "partitions read by processes that have not heard whose place they took",
    breaks: ["order", "doubled", "misfiled"],
    options: { breakPorts: readingUnheardPartitions },
  },
  {
    name: "windows of new partitions without the ids of those whose place they took",
    breaks: ["doubled"],
    options: { breakPorts: seedingChildrenFromNothing },
  },
  {
    name: "windows seeded together with each other's rows",
    breaks: ["doubled"],
    options: { breakPorts: seedingWithRowsOfOthers },
  },
  {
    name: "new partitions without the marks of those whose place they took",
    breaks: ["books"],
    options: { breakPorts: inheritingNoMarks },
  },
];
