import { setTimeout as sleep } from "node:timers/promises";
import { SimulatorError } from "../errors.ts";
import { type CommitEntry, streamOfKey } from "./commit-entry.ts";
import { retentionFaults } from "./retention-bounds.ts";
import type { StreamSpan } from "./row-places.ts";
import { unshownBounds } from "./settled-bounds.ts";
import { settlingFaults } from "./settling-faults.ts";
import { shownFaults } from "./shown-files.ts";
import type { TableScan } from "./table-scan.ts";

/**
 * Number of looks after which a contradiction counts. A commit reaches the tables a moment after the log, and
 * more follow meanwhile.
 */
const looks = 4;

/** Contradictions of the commit log, by itself and with the tables. */
export interface LogFindings {
  readonly faults: readonly string[];
  /** In the order in which the log met them. */
  readonly streams: readonly StreamSpan[];
  /** The parts that could not be read. */
  readonly unread: readonly SimulatorError[];
}

/** Compares the commit log with the tables. */
export class LakeLogs {
  readonly #scan: TableScan;
  readonly #pauseMs: number;

  constructor(scan: TableScan, pauseMs: number) {
    this.#scan = scan;
    this.#pauseMs = pauseMs;
  }

  /** Reads the tables after the log. Throws AUDIT_LAKE_UNSUPPORTED. */
  async check(): Promise<LogFindings> {
    let findings = await this.#look();
    for (let look = 2; look <= looks && findings.faults.length > 0; look++) {
      await sleep(this.#pauseMs);
      const before = new Set(findings.faults);
      const now = await this.#look();
      findings = { ...now, faults: now.faults.filter((fault) => before.has(fault)) };
    }
    return findings;
  }

  async #look(): Promise<LogFindings> {
    await this.#scan.poll();
    const { cut } = this.#scan;
    if (!cut || cut instanceof SimulatorError) return { faults: [], streams: [], unread: cut ? [cut] : [] };
    const { before, tables, after } = cut;
    const faults = [
      ...before.faults,
      ...shownFaults(before, this.#scan, Date.now()),
      ...unshownBounds(before, tables),
      ...settlingFaults(after, tables),
      ...retentionFaults(tables, after.lakeId, Date.now()),
      ...this.#scan.schemaFaults(),
    ];
    return { faults, streams: streamsOf(before.entries), unread: [] };
  }
}

function streamsOf(entries: readonly CommitEntry[]): StreamSpan[] {
  const spans = new Map<string, StreamSpan>();
  for (const { number, moves } of entries)
    for (const key of moves.keys()) {
      const id = streamOfKey(key);
      spans.set(id, { id, first: spans.get(id)?.first ?? number, last: number });
    }
  return [...spans.values()];
}
