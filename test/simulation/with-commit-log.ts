import type { CommitLog } from "../../bridge/lake/commit-log/commit-log.ts";
import type { ConsumerOptions } from "../../bridge/lake/consumer/consumer-options.ts";

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
