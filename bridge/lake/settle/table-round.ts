import { type Lane, type LaneCommits, landedLanes } from "../commit-log/lane-commits.ts";
import { withoutGoneFiles } from "../delta/gone-files.ts";
import { columnsOf, filedVersions } from "../delta/table-entry.ts";
import type { RowRound } from "../landing/row-files.ts";
import { type LackedRows, type LackingTable, lackedRows, type RoundCommits } from "./round-commits.ts";
import { type SettleOutcome, settleTable, type TableToSettle } from "./settle-table.ts";
import type { SettleTables } from "./settle-tables.ts";
import { noLandedRows, type StagedRows } from "./stage-readable.ts";
import type { CommittedLanes } from "./table-lanes.ts";
import type { SettledTable } from "./table-outcome.ts";

/** A table of a round. */
export interface RoundTable extends LackingTable {
  readonly committed: CommittedLanes;
  readonly shown: LaneCommits;
  /** Whether the table gets a version even if no rows wait. */
  readonly isAsked: boolean;
  /** Whether this is a retry. */
  readonly isParked: boolean;
}

export interface TableRoundOptions {
  readonly commits: RoundCommits;
  readonly staged: StagedRows;
}

/** Settles one table of a round. */
export class TableRound {
  /** The first commit that the table lacks; null if there is none. */
  readonly first: number | null;
  readonly #tables: SettleTables;
  readonly #table: RoundTable;
  readonly #options: TableRoundOptions;
  readonly #lacked: LackedRows;
  readonly #upTo: number;
  /** The first landing file that the table needs and that can't be read. */
  readonly #unreadable: number | undefined;

  constructor(tables: SettleTables, table: RoundTable, options: TableRoundOptions) {
    this.#tables = tables;
    this.#table = table;
    this.#options = options;
    const { commits, staged } = options;
    const lacked = lackedRows(table, commits.entries, commits.upTo);
    this.first = lacked.first;
    this.#unreadable = lacked.landed.find((commit) => staged.unreadable.has(commit));
    this.#upTo = this.#unreadable === undefined ? commits.upTo : this.#unreadable - 1;
    this.#lacked = lackedRows(table, commits.entries, this.#upTo);
  }

  async settle(): Promise<SettledTable> {
    const { staged, commits } = this.#options;
    const { isAsked } = this.#table;
    const { rows } = this.#lacked;
    const isEmpty = rows.size === 0 && !(isAsked && commits.isComplete && this.#unreadable === undefined);
    const outcome = isEmpty ? "nothing" : await this.#settle(staged.round);
    if (outcome === "settled") await this.#tables.settled(this.#table.name);
    if (this.#unreadable !== undefined) {
      const error = staged.unreadable.get(this.#unreadable);
      await this.#tables.park(this.#table.committed, error, this.#unreadable);
      return { outcome: "parked", rows: outcome === "settled" ? rows : new Map() };
    }
    if (outcome === "settled" || outcome === "nothing") this.#noteProgress();
    return { outcome, rows: outcome === "settled" ? rows : new Map() };
  }

  async #settle(round: RowRound): Promise<SettleOutcome> {
    const { options, metrics } = this.#tables;
    const { commitLog, now } = options;
    const toSettle = await this.#toSettle();
    const outcome = await settleTable(
      { lakeId: commitLog.lakeId, now, onLostRace: () => metrics.lostRace() },
      this.#tables.named(this.#table.name),
      toSettle,
      toSettle.rows.ranges.length === 0 ? noLandedRows : round,
    );
    if (outcome === "settled") this.#shows(toSettle);
    else {
      const fields = { event: "table.settle.repeated", table: this.#table.name, outcome };
      options.logger.info(fields, "another process was faster; the rows are settled in another round");
    }
    return outcome;
  }

  async #toSettle(): Promise<TableToSettle> {
    const { name, committed } = this.#table;
    const { topics } = this.#tables.options;
    const ranges = landedLanes.flatMap((lane) => this.#range(lane) ?? []);
    const direct = this.#range("direct");
    return {
      rows: { name, versions: await filedVersions(topics, committed.topics), ranges },
      direct: direct && { ...direct, files: await this.#presentFiles() },
      columns: await columnsOf(topics, committed.topics),
    };
  }

  /** Lanes without rows stay, unless somebody asked for their transactions. */
  #range<Which extends Lane>(lane: Which) {
    const { commits } = this.#options;
    const { isAsked } = this.#table;
    const after = this.#table.after.get(lane);
    const isWanted = this.#lacked.rows.has(lane) || (isAsked && commits.isComplete);
    return isWanted && after !== undefined && after < this.#upTo ? { lane, after, upTo: this.#upTo } : null;
  }

  async #presentFiles() {
    const { name } = this.#table;
    const { options, metrics, parked } = this.#tables;
    const { files, gone } = await withoutGoneFiles(options.store, name, this.#lacked.files, {
      nowMs: options.now(),
      isLate: parked.firstLacking(name) !== null,
    });
    for (const { path, rows } of gone) {
      metrics.goneRows(name, rows);
      options.logger.error(
        { event: "table.file.gone", table: name, path, rows },
        "another writer deleted a committed file before its table could show it: its rows are lost",
      );
    }
    return files;
  }

  #shows({ rows, direct }: TableToSettle): void {
    const landed = rows.ranges.map(({ lane, upTo }) => [lane, upTo]);
    this.#tables.shows(this.#table.name, {
      ...this.#table.shown,
      ...Object.fromEntries(landed),
      ...(direct && { direct: direct.upTo }),
    });
  }

  /** A table that was parked for long catches up in several rounds. */
  #noteProgress(): void {
    const { parked } = this.#tables;
    const { name } = this.#table;
    if (this.#options.commits.isComplete) parked.resume(name);
    else if (this.#table.isParked) parked.catchingUp(name, this.#upTo + 1);
  }
}
