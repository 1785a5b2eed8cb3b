import type { ProveResult } from "./prove-result.ts";

/** The result of a proof, for people. */
export function proveText(result: ProveResult): string {
  const counts = (values: Readonly<Partial<Record<string, number>>>) =>
    Object.entries(values)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ");
  const verdict =
    result.faults.length === 0
      ? "Proved: every acknowledged message is in the files exactly once."
      : `NOT proved: ${result.faults.join("; ")}. Logs, ledger and lake are kept in ${result.folder}`;
  return [
    `seed ${result.seed}, ${result.rounds} rounds, ${Math.round(result.durationMs / 1000)} s; as JSON: ${result.file}`,
    ...struckKinds.map((kind) => [kind, counts(result[kind])] as const).flatMap(lineOfKind),
    ...lineOfKind(["calls", callCounts(result)]),
    ...lineOfKind(["hostile messages", result.hostile.published === 0 ? "" : counts({ ...result.hostile })]),
    `acknowledged ${result.acked}, stored ${result.stored}, quarantined ${result.quarantined}`,
    `lost ${result.lost}, duplicated ${result.duplicated}, phantom ${result.phantom}, altered ${result.altered}, unaccounted ${result.unaccounted}, unfounded ${result.unfounded}`,
    `misplaced ${result.misplaced}, misstated ${result.misstated}, disordered ${result.disordered}, mistimed ${result.mistimed}, log faults ${result.logFaults}`,
    `fleet: ${counts(result.fleet)}; undelivered ${result.undelivered}`,
    `commits ${result.maintenance.commits} (${result.maintenance.prunedCommits} pruned), checkpoints ${result.maintenance.checkpoints}, log entries cleaned up ${result.maintenance.cleanedEntries}, vacuums ${result.maintenance.vacuums} (${result.maintenance.vacuumedFiles} files deleted)`,
    ...lineOfKind(["full dedupe window", spanText(result.fullWindowSpanMs)]),
    `replayed batches ${result.replayedBatches}, duplicates dropped ${result.duplicatesDropped}, publishes repaired ${result.publishesRepaired}`,
    ...result.examples,
    verdict,
  ].join("\n");
}

const struckKinds = [
  "kills",
  "pauses",
  "hangs",
  "cuts",
  "silences",
  "downs",
  "flushes",
  "fills",
  "readOnlys",
  "clockSteps",
  "foreignCommits",
  "parkings",
  "compactions",
  "hostilePayloads",
  "hostileSubscribers",
  "topicChanges",
  "backlogs",
  "copies",
  "splits",
  "merges",
] as const;

function callCounts({ calls }: ProveResult): string {
  return Object.entries(calls)
    .map(([fault, counts]) => `${Object.values(counts).reduce((sum, count) => sum + count, 0)} ${fault}`)
    .join(", ");
}

function spanText(spanMs: number | null): string {
  return spanMs === null ? "" : `it covered at least ${Math.round(spanMs / 1000)} s`;
}

function lineOfKind([kind, counts]: readonly [kind: string, counts: string]): string[] {
  return counts === "" ? [] : [`${kind}: ${counts}`];
}
