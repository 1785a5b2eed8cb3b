import { readFile, rename, writeFile } from "node:fs/promises";
import type { CommittedRows, FollowPosition } from "../../bridge/lake/index.ts";

interface DeviceCounts {
  /** Rows before it are counted. */
  readonly position: FollowPosition;
  readonly rows: Readonly<Record<string, number>>;
}

/** Keeps in a file how many rows each device has in the tables. Continues at its position after any end. */
export async function countRows(log: CommittedRows, file: string, signal: AbortSignal): Promise<void> {
  let kept = (await loadCounts(file)) ?? { position: await log.earliest(), rows: {} };
  for await (const chunk of log.follow(kept.position, signal)) {
    const rows = { ...kept.rows };
    for (const { deviceId, quarantine } of chunk.rows)
      if (quarantine === null) rows[deviceId] = (rows[deviceId] ?? 0) + 1;
    // One write for both: a crash leaves the old counts with the old position, or the new ones with the new.
    kept = { position: chunk.next, rows };
    await writeFile(`${file}.new`, JSON.stringify(kept), { flush: true });
    await rename(`${file}.new`, file);
  }
}

async function loadCounts(file: string): Promise<DeviceCounts | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as DeviceCounts);
}
