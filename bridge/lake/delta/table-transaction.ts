import type { DeltaAction } from "./delta-actions.ts";
import type { DeltaState } from "./delta-state.ts";
import type { DeltaTable } from "./delta-table.ts";
import { alwaysOthers } from "./publishing-errors.ts";

/** Entries of other writers that may come first, one after another. */
const racesMax = 50;

/**
 * Creates the next version of a table if its conditions hold. If another writer's entry comes first, the table
 * is read again, and `prepare` decides again.
 *
 * @param prepare The entry after this state, or why there is none.
 * Resolves with "created" or that reason. Rejects with STORE_UNAVAILABLE (retryable) if the store fails: the
 * entry may exist then, so nothing that it names may be deleted; a later call sees it in the state. Rejects
 * with STORE_UNAVAILABLE after 50 lost races, too.
 */
export async function createVersion<Reason extends string>(
  table: DeltaTable,
  prepare: (state: Readonly<DeltaState>) => readonly DeltaAction[] | Reason,
  onLostRace: () => void = () => {},
): Promise<"created" | Reason> {
  for (let races = 0; races < racesMax; races++) {
    const prepared = prepare(await table.refresh());
    if (typeof prepared === "string") return prepared;
    if ((await table.append(prepared)) === "created") return "created";
    onLostRace();
  }
  throw alwaysOthers(table.name, racesMax);
}
