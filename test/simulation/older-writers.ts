import type { ConsumerOptions } from "../../bridge/consumer/consumer.ts";

/** The first entries are of a version that did not name the parents of partitions. */
export function writingAsBefore(ports: ConsumerOptions, lastEntry: number): ConsumerOptions {
  const { commitLog } = ports;
  return {
    ...ports,
    commitLog: {
      lakeId: commitLog.lakeId,
      load: () => commitLog.load(),
      reload: () => commitLog.reload(),
      entry: (number) => commitLog.entry(number),
      append: (entry) => {
        if (entry.number > lastEntry) return commitLog.append(entry);
        const moves = Object.entries(entry.moves).map(
          ([key, { parents: _, ...move }]) => [key, move] as const,
        );
        return commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
      },
    },
  };
}
