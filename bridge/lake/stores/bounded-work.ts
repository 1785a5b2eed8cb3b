/**
 * Runs a bounded number of tasks in parallel. Once `results` or `settled` resolves, every started task has
 * ended.
 */
export class BoundedWork<Result> {
  readonly #max: number;
  readonly #all: Promise<Result>[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #hasFailed = false;

  constructor(max: number) {
    this.#max = max;
  }

  /**
   * Starts a task once there is room. Resolves with false if another task has failed; then no more tasks
   * start.
   */
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

  /** Resolves once no task runs. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#all);
  }

  /** Results in the order of `add`. Rejects with the first failure in that order. */
  async results(): Promise<Result[]> {
    await this.settled();
    return Promise.all(this.#all);
  }
}
