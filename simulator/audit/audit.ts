import { setTimeout as sleep } from "node:timers/promises";
import { openLedger } from "../ledger/ledger-reader.ts";
import type { Progress } from "../report/progress.ts";
import { AuditExamples } from "./audit-examples.ts";
import type { LakeFiles } from "./lake-files.ts";
import { LakeLogs, type LogFindings } from "./lake-logs.ts";
import { checkLakeVersion } from "./lake-version.ts";
import type { PlaceOrder } from "./row-places.ts";
import { RunBook } from "./run-book.ts";
import type { RunCounts } from "./run-counts.ts";
import { TableScan } from "./table-scan.ts";

export interface AuditOptions {
  readonly ledgerFolder: string;
  readonly lake: LakeFiles;
  /** How long to wait for acknowledged messages to be filed. */
  readonly waitMs: number;
  /** Time without a new file after which no late second copy is expected. */
  readonly settleMs: number;
  /** Time between two looks at faults that may be only a delay of the tables. */
  readonly lookAgainMs: number;
}

/** Sums over all runs of the ledger. */
export interface AuditResult extends RunCounts {
  readonly runs: readonly string[];
  /** Data files that were read. */
  readonly files: number;
  /**
   * Files about which the table's log, or the file itself, is wrong: partition values, size, row count, null
   * counts, bounds.
   */
  readonly misstated: number;
  /** Where the stream time that forgets ids differs within a block, goes back, or runs faster than time. */
  readonly mistimed: number;
  /** Contradictions within the commit log, or between the log and the tables. */
  readonly logFaults: number;
  readonly waitedS: number;
  /** The parts of the lake that could not be read. */
  readonly faults: readonly { readonly code: string; readonly message: string }[];
  readonly examples: readonly string[];
  /**
   * True only if messages were acknowledged and each is filed once, unaltered and in order, so that queries
   * find it. Also, only planned poison is quarantined, and the logs are whole.
   */
  readonly isProven: boolean;
}

const pollMs = 1000;

/**
 * Compares a ledger with a lake, repeatedly, until both agree and no new file appears. Stops earlier if the
 * time is up or `stop` aborts.
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
  const logs = new LakeLogs(scan, options.lookAgainMs);
  const beganAtMs = performance.now();
  try {
    for (;;) {
      await scan.poll();
      const isClosed = books.every((book) => book.lost().next().done === true);
      const isQuiet =
        Date.now() - Math.max(scan.lastChangeAtMs, ...books.map(({ ledger }) => ledger.changedAtMs())) >=
        options.settleMs;
      progress.show(progressOf(books, scan));
      const waitedMs = performance.now() - beganAtMs;
      const isOver = waitedMs >= options.waitMs || stop.aborted;
      if (isOver || (isClosed && isQuiet && scan.faults.length === 0)) {
        const findings = await logs.check();
        if (isOver || findings.faults.length + findings.unread.length === 0)
          return verdict({ books, scan, examples, findings }, Math.round(performance.now() - beganAtMs));
      }
      await sleep(Math.min(pollMs, Math.max(0, options.waitMs - waitedMs)));
    }
  } finally {
    progress.stop();
  }
}

function progressOf(books: readonly RunBook[], scan: TableScan) {
  const total = { sent: 0, acked: 0, filed: 0, lost: 0 };
  for (const book of books) {
    total.sent += book.ledger.sent.count;
    total.acked += book.ledger.acked.count;
    total.filed += book.filed;
    for (const _ of book.lost()) total.lost++;
  }
  const text = `messages filed · ${total.lost} of ${total.acked} acknowledged ones missing · ${scan.filesRead} files read`;
  return { done: total.filed, total: total.sent, text };
}

interface Evidence {
  readonly books: readonly RunBook[];
  readonly scan: TableScan;
  readonly examples: AuditExamples;
  readonly findings: LogFindings;
}

function verdict({ books, scan, examples, findings }: Evidence, waitedMs: number): AuditResult {
  const order = scan.places.order(findings.streams);
  const mistimed = scan.places.mistimed(Date.now() - scan.sinceMs);
  const unread = [...scan.faults, ...findings.unread];
  const counts = sum(books.map((book) => book.counts(order)));
  for (const book of books) addExamples(book, examples, order);
  for (const fault of findings.faults) examples.add("logFaults", fault);
  return {
    ...counts,
    runs: books.map(({ ledger }) => ledger.header.scenario.runId),
    files: scan.filesRead,
    misstated: scan.misstated,
    mistimed,
    logFaults: findings.faults.length,
    waitedS: Math.round(waitedMs / 100) / 10,
    faults: unread.map((fault) => ({ code: fault.code, message: fault.message })),
    examples: examples.list(),
    isProven:
      counts.acked > 0 &&
      counts.lost + counts.duplicated + counts.phantom + counts.altered === 0 &&
      counts.misplaced + counts.disordered + scan.misstated + mistimed + findings.faults.length === 0 &&
      counts.quarantined === counts.plannedPoison + counts.plannedReuse + counts.mended &&
      unread.length === 0,
  };
}

function addExamples(book: RunBook, examples: AuditExamples, order: PlaceOrder): void {
  for (const index of book.lost()) {
    if (examples.isFull("lost")) break;
    examples.add(
      "lost",
      `${book.messageId(index)} of device ${book.deviceId(index)}: acknowledged, and neither in a table nor in quarantine`,
    );
  }
  for (const index of book.misfiled()) {
    if (examples.isFull("duplicated")) break;
    examples.add(
      "duplicated",
      `${book.messageId(index)} of device ${book.deviceId(index)}: its table has another message of this id`,
    );
  }
  for (const [index, turn] of book.turns(order)) {
    if (examples.isFull("disordered")) break;
    if (turn !== "before") continue;
    examples.add(
      "disordered",
      `${book.messageId(index)} of device ${book.deviceId(index)} is before an earlier message`,
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
