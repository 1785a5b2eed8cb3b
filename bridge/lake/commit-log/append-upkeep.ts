import { randomUUID } from "node:crypto";
import { BridgeError } from "../../errors.ts";
import { type CommitLog, lakeFormat, type Upkeep } from "./commit-log.ts";

const attemptsMax = 50;

/**
 * Appends an entry without rows, and retries with the next number if other writers commit first. Resolves
 * with the entry's number. Rejects with STORE_UNAVAILABLE after 50 attempts.
 */
export async function appendUpkeep(
  log: Pick<CommitLog, "load" | "append">,
  upkeep: Upkeep,
  nowMs: number,
): Promise<number> {
  const commitId = randomUUID();
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const number = (await log.load()).number + 1;
    const entry = {
      format: lakeFormat,
      number,
      commitId,
      committedAtMs: nowMs,
      moves: {},
      tables: {},
      upkeep,
    } as const;
    if ((await log.append(entry)).outcome === "committed") return number;
  }
  const text = `${attemptsMax} other commits came first`;
  throw new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });
}
