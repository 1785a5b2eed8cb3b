import { setTimeout as sleep } from "node:timers/promises";
import { SimulatorError } from "../errors.ts";
import { type CommitEntry, streamOfKey } from "./commit-entry.ts";
import { givenUpFaults } from "./given-up-entries.ts";
import type { LakeLook } from "./lake-look.ts";
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
  readonly #look: LakeLook;
  readonly #scan: TableScan;
  readonly #pauseMs: number;

  constructor({ look, scan, pauseMs }: { look: LakeLook; scan: TableScan; pauseMs: number }) {
    this.#look = look;
    this.#scan = scan;
    this.#pauseMs = pauseMs;
  }

  /** Takes a cut, and compares its logs. The tables are read after the log. Throws AUDIT_LAKE_UNSUPPORTED. */
  async check(): Promise<LogFindings> {
    await this.#scan.take();
    const first = this.#findings();
    let findings = first;
    for (let look = 2; look <= looks && findings.faults.length > 0; look++) {
      await sleep(this.#pauseMs);
      const before = new Set(findings.faults);
      await this.#look.take();
      const now = this.#findings();
      findings = { ...now, faults: now.faults.filter((fault) => before.has(fault)) };
    }
    // Tables were behind the log. So rows that they lacked may be there now.
    if (findings.faults.length < first.faults.length) await this.#scan.take();
    return findings;
  }

  #findings(): LogFindings {
    const { cut } = this.#look;
    if (!cut || cut instanceof SimulatorError) return { faults: [], streams: [], unread: cut ? [cut] : [] };
    const { before, tables, after } = cut;
    const shown = { tables, streamOf: (path: string) => this.#scan.streamOf(path) };
    const faults = [
      ...before.faults,
      ...shownFaults(before, shown, Date.now()),
      ...unshownBounds(before, tables),
      ...givenUpFaults(before, tables),
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
