import { randomUUID } from "node:crypto";
import { BridgeError } from "../errors.ts";
import { type CommitLog, LAKE_FORMAT, type Upkeep } from "./commit-log.ts";

const attemptsMax = 50;

/** Appends an entry that no batch wrote, after whatever others append meanwhile. Resolves with its number. */
export async function appendUpkeep(
  log: Pick<CommitLog, "load" | "append">,
  upkeep: Upkeep,
  nowMs: number,
): Promise<number> {
  const commitId = randomUUID();
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    const number = (await log.load()).number + 1;
    const entry = {
      format: LAKE_FORMAT,
      number,
      commitId,
      committedAtMs: nowMs,
      moves: {},
      tables: {},
      upkeep,
    } as const;
    if ((await log.append(entry)).outcome === "committed") return number;
  }
  const text = `${attemptsMax} other commits came first, one after another`;
  throw new BridgeError("STORE_UNAVAILABLE", text, { retryable: true });
}
