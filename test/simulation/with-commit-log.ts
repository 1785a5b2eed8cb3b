import type { ConsumerOptions } from "../../bridge/consumer/consumer.ts";
import type { CommitLog } from "../../bridge/storage/commit-log.ts";

/** The ports with some of the commit log's calls replaced. */
export function withCommitLog(ports: ConsumerOptions, changes: Partial<CommitLog>): ConsumerOptions {
  const { commitLog } = ports;
  return {
    ...ports,
    commitLog: {
      lakeId: commitLog.lakeId,
      load: () => commitLog.load(),
      reload: () => commitLog.reload(),
      append: (entry) => commitLog.append(entry),
      entry: (number) => commitLog.entry(number),
      ...changes,
    },
  };
}
