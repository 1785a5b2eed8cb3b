import { setTimeout as sleep } from "node:timers/promises";
import { openLedger } from "../ledger/ledger-reader.ts";
import type { Progress } from "../report/progress.ts";
import { AuditExamples } from "./audit-examples.ts";
import type { LakeFiles } from "./lake-files.ts";
import { checkLakeVersion } from "./lake-version.ts";
import { RunBook, type RunCounts } from "./run-book.ts";
import { TableScan } from "./table-scan.ts";

export interface AuditOptions {
  readonly ledgerFolder: string;
  readonly lake: LakeFiles;
  /** How long to wait for acknowledged messages to be filed. */
  readonly waitMs: number;
  /** Time without a new file after which no late second copy is expected any more. */
  readonly settleMs: number;
}

/** Sums over all runs of the ledger. */
export interface AuditResult extends RunCounts {
  readonly runs: readonly string[];
  /** Data files that were read. */
  readonly files: number;
  readonly waitedS: number;
  /** What of the lake could not be read. */
  readonly faults: readonly { readonly code: string; readonly message: string }[];
  readonly examples: readonly string[];
  /** True only where something was acknowledged, all of it is filed once as it was sent, and only planned poison is quarantined. */
  readonly isProven: boolean;
}

const pollMs = 1000;

/**
 * Compares what a ledger says with what a lake holds, again and again until they agree and nothing new appears, or the time is up, or
 * `stop` aborts.
 */
export async function audit(
  options: AuditOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<AuditResult> {
  await checkLakeVersion(options.lake);
  const books = openLedger(options.ledgerFolder).map((ledger) => new RunBook(ledger));
  const examples = new AuditExamples();
  const scan = new TableScan(options.lake, books, examples);
  const beganAtMs = Date.now();
  try {
    for (;;) {
      await scan.poll();
      const nowMs = Date.now();
      const isClosed = books.every((book) => book.lost().next().done === true);
      const isQuiet =
        nowMs - Math.max(scan.lastChangeAtMs, ...books.map(({ ledger }) => ledger.changedAtMs())) >=
        options.settleMs;
      const counts = sum(books.map((book) => book.counts()));
      const text = `messages filed · ${counts.lost} of ${counts.acked} acknowledged ones missing · ${scan.filesRead} files read`;
      progress.show({ done: counts.stored + counts.quarantined, total: counts.sent, text });
      const isOver = nowMs - beganAtMs >= options.waitMs || stop.aborted;
      if (isOver || (isClosed && isQuiet && scan.faults.length === 0))
        return verdict(books, scan, examples, nowMs - beganAtMs);
      await sleep(Math.min(pollMs, Math.max(0, beganAtMs + options.waitMs - nowMs)));
    }
  } finally {
    progress.stop();
  }
}

function verdict(
  books: readonly RunBook[],
  scan: TableScan,
  examples: AuditExamples,
  waitedMs: number,
): AuditResult {
  const counts = sum(books.map((book) => book.counts()));
  for (const book of books) addExamples(book, examples);
  return {
    ...counts,
    runs: books.map(({ ledger }) => ledger.header.scenario.runId),
    files: scan.filesRead,
    waitedS: Math.round(waitedMs / 100) / 10,
    faults: scan.faults.map((fault) => ({ code: fault.code, message: fault.message })),
    examples: examples.list(),
    isProven:
      counts.acked > 0 &&
      counts.lost + counts.duplicated + counts.phantom + counts.altered === 0 &&
      counts.quarantined === counts.plannedPoison + counts.plannedReuse &&
      scan.faults.length === 0,
  };
}

function addExamples(book: RunBook, examples: AuditExamples): void {
  for (const index of book.lost()) {
    if (examples.isFull("lost")) break;
    examples.add(
      "lost",
      `${book.messageId(index)} of device ${book.deviceId(index)}: acknowledged, and in no table nor quarantine`,
    );
  }
  for (const index of book.misfiled()) {
    if (examples.isFull("duplicated")) break;
    examples.add(
      "duplicated",
      `${book.messageId(index)} of device ${book.deviceId(index)}: its table has another message of this id`,
    );
  }
  for (const index of book.wronglyQuarantined()) {
    if (examples.isFull("quarantined")) break;
    examples.add(
      "quarantined",
      `${book.messageId(index)} of device ${book.deviceId(index)}: it belongs in its table`,
    );
  }
}

function sum(counts: readonly RunCounts[]): RunCounts {
  const total: Record<string, number> = {};
  for (const part of counts)
    for (const [name, value] of Object.entries(part)) total[name] = (total[name] ?? 0) + value;
  return total as unknown as RunCounts;
}
