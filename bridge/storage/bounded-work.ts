/** Pieces of work of which at most so many are under way. All that was begun has ended once `results` or `settled` has. */
export class BoundedWork<Result> {
  readonly #max: number;
  readonly #all: Promise<Result>[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #hasFailed = false;

  constructor(max: number) {
    this.#max = max;
  }

  /** Begins a piece once there is room. False: another one has failed, and no more are begun. */
  async add(work: () => Promise<Result>): Promise<boolean> {
    while (this.#underWay.size >= this.#max) await Promise.race(this.#underWay);
    if (this.#hasFailed) return false;
    const result = work();
    this.#all.push(result);
    const ended: Promise<unknown> = result
      .catch(() => {
        this.#hasFailed = true;
      })
      .finally(() => this.#underWay.delete(ended));
    this.#underWay.add(ended);
    return true;
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#all);
  }

  /** In the order of `add`. Rejects with the first failure in that order. */
  async results(): Promise<Result[]> {
    await this.settled();
    return Promise.all(this.#all);
  }
}
