import type { LakeState } from "../commit-log/commit-log.ts";
import { moveOf } from "../commit-log/past-partitions.ts";
import { trimCommitted } from "./commit/trim-committed.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PartitionCursor } from "./partitions/partition-cursor.ts";
import { finishedPartitions, inheritanceOf } from "./partitions/readable-partitions.ts";
import { restoreWindows } from "./seeding/restore-windows.ts";

export interface Recovered {
  readonly lake: LakeState;
  /** Tables that lagged behind the commit log. */
  readonly published: number;
}

/**
 * Brings everything to the state of the commit log: tables, cursors, windows, and the stream's trimmed end.
 * Resolves with null if another consumer changed a window meanwhile.
 */
export async function recover(
  context: ConsumerContext,
  cursors: readonly PartitionCursor[],
): Promise<Recovered | null> {
  context.progress.at("tables");
  const { published } = await context.publisher.publishPending();
  context.progress.at("log");
  const lake = await context.commitLog.load();
  await context.topics.refresh();
  for (const cursor of cursors) {
    cursor.rewind(moveOf(lake, cursor.key));
    cursor.inherit(inheritanceOf(context.stream, lake, cursor.partition));
  }
  context.progress.at("window");
  if (!(await restoreWindows(context, cursors, lake))) return null;
  context.progress.at("trimming");
  for (const cursor of cursors) await trimCommitted(context, cursor);
  for (const partition of finishedPartitions(context.stream, lake)) await context.window.forget(partition);
  return { lake, published };
}
