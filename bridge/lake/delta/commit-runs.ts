/** What a commit brought to one lane of a table. */
export interface BroughtRows {
  readonly committedAtMs: number;
  readonly rows: number;
  /** Uncompressed bytes of these rows, about; of table files, their bytes. */
  readonly size: number;
  /** Bytes of the landing file that holds them, which also holds other rows. */
  readonly landingBytes: number;
}

interface Run {
  first: number;
  last: number;
  firstMs: number;
  lastMs: number;
  rows: number;
  size: number;
  landingBytes: number;
}

/** The sum of several commits. */
export interface SummedRows {
  /** The oldest commit, and its time. */
  readonly first: number;
  readonly firstMs: number;
  readonly rows: number;
  readonly size: number;
  readonly landingBytes: number;
}

/** About 20 kB. A lane with rows in each commit, or in few of them, needs less and is known exactly. */
const runsMax = 256;

/**
 * Commits that brought rows to one lane of a table, as runs of numbers. Memory is bounded: the runs with the
 * smallest gap between them become one, which then includes commits without rows.
 */
export class CommitRuns {
  readonly #runs: Run[] = [];
  readonly #runsMax: number;

  constructor(max = runsMax) {
    this.#runsMax = max;
  }

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /** @param commit Above all others. */
  add(commit: number, { committedAtMs, rows, size, landingBytes }: BroughtRows): void {
    const run = { first: commit, last: commit, firstMs: committedAtMs, lastMs: committedAtMs };
    this.#runs.push({ ...run, rows, size, landingBytes });
    const before = this.#runs.at(-2);
    if (before && before.last + 1 === commit) this.#merge(this.#runs.length - 2);
    else if (this.#runs.length > this.#runsMax) this.#merge(this.#smallestGap());
  }

  /** Forgets commits up to this one. Returns the newest of them, 0 = there were none. */
  dropTo(commit: number): number {
    let newest = 0;
    while (this.#runs[0] && this.#runs[0].last <= commit) newest = this.#runs.shift()?.last ?? 0;
    const [first] = this.#runs;
    if (!first || first.first > commit) return newest;
    Object.assign(first, rest(first, commit));
    return commit;
  }

  /** The sum of the commits after `shown`; null if there are none. Of a part of a run, the sum is a guess. */
  sumAfter(shown: number): SummedRows | null {
    const runs = this.#runs
      .filter(({ last }) => last > shown)
      .map((run) => (run.first > shown ? run : rest(run, shown)));
    const [oldest] = runs;
    if (!oldest) return null;
    const sum = (field: "rows" | "size" | "landingBytes") =>
      runs.reduce((total, run) => total + run[field], 0);
    const { first, firstMs } = oldest;
    return { first, firstMs, rows: sum("rows"), size: sum("size"), landingBytes: sum("landingBytes") };
  }

  /** Numbers of the commits after `shown`, ascending. */
  *after(shown: number): Generator<number> {
    for (const { first, last } of this.#runs)
      for (let commit = Math.max(first, shown + 1); commit <= last; commit++) yield commit;
  }

  #smallestGap(): number {
    let [smallest, at] = [Number.POSITIVE_INFINITY, 0];
    for (let index = 0; index + 1 < this.#runs.length; index++) {
      const gap = (this.#runs[index + 1]?.first ?? 0) - (this.#runs[index]?.last ?? 0);
      if (gap < smallest) [smallest, at] = [gap, index];
    }
    return at;
  }

  /** Makes one run of this one and the next. */
  #merge(index: number): void {
    const [run, next] = [this.#runs[index], this.#runs[index + 1]];
    if (!run || !next) return;
    run.last = next.last;
    run.lastMs = next.lastMs;
    run.rows += next.rows;
    run.size += next.size;
    run.landingBytes += next.landingBytes;
    this.#runs.splice(index + 1, 1);
  }
}

/** The run after `commit`, which is in it and not its last. */
function rest(run: Readonly<Run>, commit: number): Run {
  const { first, last, firstMs, lastMs } = run;
  const share = (last - commit) / (last - first + 1);
  return {
    first: commit + 1,
    last,
    firstMs: lastMs - ((lastMs - firstMs) * (last - commit - 1)) / (last - first),
    lastMs,
    rows: Math.ceil(run.rows * share),
    size: run.size * share,
    landingBytes: run.landingBytes * share,
  };
}
