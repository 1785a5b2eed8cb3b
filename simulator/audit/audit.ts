import { setTimeout as sleep } from "node:timers/promises";
import { openLedger } from "../ledger/ledger-reader.ts";
import type { Progress } from "../report/progress.ts";
import { AuditExamples } from "./audit-examples.ts";
import { CommitWatch } from "./commit-watch.ts";
import type { LakeFiles } from "./lake-files.ts";
import { LakeLogs, type LogFindings } from "./lake-logs.ts";
import { LakeLook } from "./lake-look.ts";
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
 * The largest difference between the clocks of fleet and stream. Beyond it, files of the run could be taken
 * for older ones.
 */
const clockSkewMaxMs = 3_600_000;

/**
 * Compares a ledger with a lake. Watches what is committed until no message is missing and no new file comes,
 * or the time is up, or `stop` aborts. Then it takes one cut of the lake, and judges the rows of this cut. If
 * these differ from the ledger before the time is up, it goes on.
 */
export async function audit(
  options: AuditOptions,
  progress: Progress,
  stop: AbortSignal,
): Promise<AuditResult> {
  await checkLakeVersion(options.lake);
  const work = prepare(options);
  const { scan, watch } = work;
  const beganAtMs = performance.now();
  try {
    await scan.take();
    watch.learn();
    for (let cutFromMs = 0; ; ) {
      await watch.poll();
      progress.show(progressOf(work));
      const nowMs = performance.now();
      const waitedMs = nowMs - beganAtMs;
      const isOver = waitedMs >= options.waitMs || stop.aborted;
      const isClosed = watch.missing === 0 && isQuiet(work, options.settleMs);
      if (isOver || (nowMs >= cutFromMs && (isClosed || watch.needsCut))) {
        const findings = await work.logs.check();
        const endedAtMs = performance.now();
        if (isOver || (isClosed && agrees(work, findings)))
          return verdict(work, findings, Math.round(endedAtMs - beganAtMs));
        watch.learn();
        // Cuts take at most half of the time.
        cutFromMs = endedAtMs + (endedAtMs - nowMs);
      }
      await sleep(Math.min(pollMs, Math.max(0, options.waitMs - waitedMs)));
    }
  } finally {
    progress.stop();
  }
}

/** The parts of an audit. */
interface Work {
  /** Files that were complete by this time hold no rows of the runs, in ms since the epoch. */
  readonly sinceMs: number;
  readonly books: readonly RunBook[];
  readonly examples: AuditExamples;
  readonly scan: TableScan;
  readonly watch: CommitWatch;
  readonly logs: LakeLogs;
}

function prepare({ ledgerFolder, lake, lookAgainMs }: AuditOptions): Work {
  const books = openLedger(ledgerFolder).map((ledger) => new RunBook(ledger));
  const sinceMs = Math.min(...books.map(({ ledger }) => ledger.header.startedAtMs)) - clockSkewMaxMs;
  const examples = new AuditExamples();
  const look = new LakeLook(lake, sinceMs);
  const scan = new TableScan({ lake, look, books, examples, sinceMs });
  const watch = new CommitWatch({ lake, look, scan, books });
  const logs = new LakeLogs({ look, scan, pauseMs: lookAgainMs });
  return { sinceMs, books, examples, scan, watch, logs };
}

/** True if nothing came for this time, neither into the lake nor into a ledger. */
function isQuiet({ watch, books }: Work, settleMs: number): boolean {
  const changes = [watch.lastChangeAtMs, ...books.map(({ ledger }) => ledger.changedAtMs())];
  return Date.now() - Math.max(...changes) >= settleMs;
}

/** True if a cut shows everything, as far as waiting could help. */
function agrees({ books, scan }: Work, { faults, unread }: LogFindings): boolean {
  const isClosed = books.every((book) => book.lost().next().done === true);
  return isClosed && scan.faults.length + faults.length + unread.length === 0;
}

function progressOf({ books, watch, scan }: Work) {
  const total = { sent: 0, acked: 0 };
  for (const { ledger } of books) {
    total.sent += ledger.sent.count;
    total.acked += ledger.acked.count;
  }
  const text = `messages filed · ${watch.missing} of ${total.acked} acknowledged ones missing · ${scan.filesRead + watch.filesRead} files read`;
  return { done: watch.seen, total: total.sent, text };
}

function verdict(work: Work, findings: LogFindings, waitedMs: number): AuditResult {
  const { books, scan, examples } = work;
  const order = scan.places.order(findings.streams);
  const mistimed = scan.places.mistimed(Date.now() - work.sinceMs);
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
