import { heldFrom, type LandingHold, type LandingNeeds } from "./landing-holds.ts";

/** Entries that a hold by seeding spans at most, because all of them wait for the last one. */
const seedingRunMax = 16;
const readAtOnce = 16;

/** Entries in order, of which those with a landing file have the same hold. */
interface Run {
  readonly first: number;
  readonly last: number;
  readonly files: number;
  readonly hold: LandingHold;
}

/** An entry whose landing file exists. */
export interface JudgedEntry {
  readonly number: number;
  /** Null = nothing needs the file. */
  readonly hold: LandingHold | null;
}

/**
 * Judges these entries. Leaves out those without a landing file.
 * @param before The hold of the entry before.
 */
export type Judge = (
  numbers: readonly number[],
  before: LandingHold | null,
) => Promise<readonly JudgedEntry[]>;

/** How many entries one piece of work may still read. */
export interface ReadBudget {
  left: number;
}

/**
 * The entries whose landing files must stay, each with one reason. Only once that reason is gone, the entry is
 * read again. Memory grows with changes of the reason from entry to entry: a table that shows nothing for a
 * month costs one run.
 */
export class HeldLanding {
  #runs: Run[] = [];

  /** Landing files that must stay. */
  get files(): number {
    return this.#runs.reduce((sum, { files }) => sum + files, 0);
  }

  get runs(): number {
    return this.#runs.length;
  }

  /** Judges the entries whose reason is gone. Those that the budget does not allow keep their reason. */
  async review(needs: LandingNeeds, firstKept: number, budget: ReadBudget, judge: Judge): Promise<void> {
    const runs = this.#runs.filter(({ last }) => last >= firstKept);
    this.#runs = [];
    for (let run = runs.shift(); run; run = runs.shift()) {
      const first = Math.max(run.first, firstKept);
      const end = Math.min(run.last + 1, heldFrom(run.hold, needs));
      let next = first;
      try {
        next = await this.read({ first, end }, budget, judge);
      } catch (error) {
        this.#runs.push(run, ...runs);
        throw error;
      }
      const files = Math.min(run.files, run.last - next + 1);
      if (next <= run.last) this.#runs.push({ ...run, first: next, files });
    }
  }

  /**
   * Judges entries that follow all others, as far as the budget allows. Resolves with the first one that was
   * not judged. If it rejects, none was.
   */
  async read(
    { first, end }: { readonly first: number; readonly end: number },
    budget: ReadBudget,
    judge: Judge,
  ): Promise<number> {
    const known = this.#runs;
    this.#runs = [...known];
    try {
      let next = first;
      while (next < end && budget.left > 0) {
        const count = Math.min(readAtOnce, end - next, budget.left);
        const numbers = Array.from({ length: count }, (_, index) => next + index);
        budget.left -= count;
        for (const { number, hold } of await judge(numbers, this.#runs.at(-1)?.hold ?? null))
          if (hold) this.#add(number, hold);
        next += count;
      }
      return Math.max(first, next);
    } catch (error) {
      this.#runs = known;
      throw error;
    }
  }

  #add(number: number, hold: LandingHold): void {
    const run = this.#runs.at(-1);
    const joined = run && joinedHold(run, hold);
    if (run && joined)
      this.#runs[this.#runs.length - 1] = { ...run, last: number, files: run.files + 1, hold: joined };
    else this.#runs.push({ first: number, last: number, files: 1, hold });
  }
}

/** The hold of a run and one more entry; null if theirs differ. */
function joinedHold({ files, hold }: Run, other: LandingHold): LandingHold | null {
  if (hold.by === "rows")
    return other.by === "rows" && other.table === hold.table && other.lane === hold.lane ? hold : null;
  if (hold.by === "follower") return other.by === "follower" ? hold : null;
  const isSame = other.by === "seeding" && other.partition === hold.partition && files < seedingRunMax;
  return isSame ? { ...hold, untilMs: Math.max(hold.untilMs, other.untilMs) } : null;
}
