import type { LakeState } from "../storage/commit-log.ts";
import { moveOf } from "../storage/past-partitions.ts";
import type { ConsumerContext } from "./consumer-ports.ts";
import type { PartitionCursor } from "./partition-cursor.ts";
import { finishedPartitions, inheritanceOf } from "./readable-partitions.ts";
import { restoreWindows } from "./restore-windows.ts";
import { trimCommitted } from "./trim-committed.ts";

export interface Recovered {
  readonly lake: LakeState;
  /** Tables that showed less than the commit log held. */
  readonly published: number;
}

/**
 * Puts everything where the commit log says that it is: tables, cursors, windows, and the stream's trimmed end.
 * null: another consumer worked on a window meanwhile.
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
