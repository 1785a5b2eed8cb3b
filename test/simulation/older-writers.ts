import type { ConsumerOptions } from "../../bridge/consumer/consumer.ts";
import { withCommitLog } from "./with-commit-log.ts";

/** The first entries are of a version that did not name the parents of partitions. */
export function writingAsBefore(ports: ConsumerOptions, lastEntry: number): ConsumerOptions {
  return withCommitLog(ports, {
    append: (entry) => {
      if (entry.number > lastEntry) return ports.commitLog.append(entry);
      const moves = Object.entries(entry.moves).map(([key, { parents: _, ...move }]) => [key, move] as const);
      return ports.commitLog.append({ ...entry, moves: Object.fromEntries(moves) });
    },
  });
}
