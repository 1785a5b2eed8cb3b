import type { LandedLane } from "./lane-commits.ts";

/** The folder of landing files in the lake. */
export const landingFolder = "_landing";

/** One landing file: the rows of one commit, for all tables. */
export interface LandedFile {
  /** Relative to the lake: `_landing/<uuid>.parquet`. */
  readonly path: string;
  readonly bytes: number;
  /** Uncompressed bytes of its rows, as the writer estimates them. */
  readonly size: number;
  /** Smallest and largest stream time of its rows, ms, so that seeding can skip files. */
  readonly minStreamMs: number;
  readonly maxStreamMs: number;
}

/** The rows of one table in a landing file. */
export interface LandedTable {
  /** The table's folder: the topic's name, or `_quarantine`. */
  readonly name: string;
  /** The highest topic version of its rows; 0 for the quarantine. */
  readonly version: number;
  /** By lane; a lane without rows is absent. */
  readonly rows: Readonly<Partial<Record<LandedLane, number>>>;
}

export interface WrittenLanding {
  readonly file: LandedFile;
  /** By table key: topic id, or `_quarantine`. */
  readonly tables: ReadonlyMap<string, LandedTable>;
}

/** The landing file of a commit entry. */
export interface CommittedLanding {
  readonly file: LandedFile;
  /** By table key: topic id, or `_quarantine`. */
  readonly tables: Readonly<Record<string, LandedTable>>;
}
