/** Changes since the last reading. */
export interface RegistryNews {
  readonly hasTopics: boolean;
  /** Names of identities that were removed. */
  readonly revoked: readonly string[];
  /** The log lacks changes: it was trimmed, or the registry was replaced by another one or an older copy. */
  readonly isInDoubt: boolean;
}

const mostAtOnce = 1_000;

type Entry = readonly [id: string, fields: readonly string[]];

/** Follows the registry's log of changes. Its numbers have no gaps, so a missed change is detected. */
export class ChangeLog {
  readonly #ask: (after: number, most: number) => Promise<readonly unknown[]>;
  #epoch: string | null = null;
  #known = 0;
  #next: { epoch: string; known: number } = { epoch: "", known: 0 };

  /** @param ask Answers ["ok", epoch, number of the last change, entries after the given number]. */
  constructor(ask: (after: number, most: number) => Promise<readonly unknown[]>) {
    this.#ask = ask;
  }

  /** Returns the same news again until `taken` is called. */
  async read(): Promise<RegistryNews> {
    const revoked: string[] = [];
    let hasTopics = false;
    let known = this.#known;
    for (;;) {
      const [, epoch, last, entries] = (await this.#ask(known, mostAtOnce)) as [
        string,
        string,
        string,
        Entry[],
      ];
      if (this.#epoch !== epoch) return this.#anew(epoch, Number(last), this.#epoch !== null);
      if (Number(last) === known) break;
      const numbers = entries.map(([id]) => Number.parseInt(id, 10));
      if (numbers.some((number, index) => number !== known + 1 + index) || numbers.length === 0)
        return this.#anew(epoch, Number(last), true);
      for (const [, [kind, name]] of entries) {
        if (kind === "revoked" && name !== undefined) revoked.push(name);
        else hasTopics = true;
      }
      known += numbers.length;
    }
    this.#next = { epoch: this.#epoch as string, known };
    return { hasTopics, revoked, isInDoubt: false };
  }

  /** Confirms the news that `read` returned last. */
  taken(): void {
    this.#epoch = this.#next.epoch;
    this.#known = this.#next.known;
  }

  #anew(epoch: string, last: number, isInDoubt: boolean): RegistryNews {
    this.#next = { epoch, known: last };
    return { hasTopics: true, revoked: [], isInDoubt };
  }
}
