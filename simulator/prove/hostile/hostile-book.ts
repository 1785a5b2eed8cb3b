import type { HostileMessage } from "./hostile-messages.ts";

/** The outcome of the hostile messages of a proof. */
export interface HostileCounts {
  readonly published: number;
  readonly acknowledged: number;
  /** By the broker, as they had to be. */
  readonly refused: number;
  readonly filed: number;
  readonly quarantined: number;
}

/** Rows of one topic name. */
export interface HostileRows {
  readonly filed: number;
  readonly quarantined: number;
}

export interface HostileVerdict extends HostileCounts {
  /** Violations, in words. */
  readonly faults: readonly string[];
}

interface Published {
  readonly message: HostileMessage;
  readonly isAcknowledged: boolean;
  /** Sent once: no resend can make a second row of one without an id. */
  readonly isSentOnce: boolean;
}

const namedMax = 5;

/** Every hostile message that was published, and at the end what the tables say of it. */
export class HostileBook {
  readonly #published: Published[] = [];
  #refused = 0;

  published(one: Published): void {
    this.#published.push(one);
  }

  refused(): void {
    this.#refused += 1;
  }

  get isEmpty(): boolean {
    return this.#published.length === 0;
  }

  /** True once every acknowledged message has a row. */
  isFiled(rows: ReadonlyMap<string, HostileRows>): boolean {
    return this.#acknowledged().every(({ message }) => rows.has(message.topic));
  }

  /** @param rows By topic name. */
  verdict(rows: ReadonlyMap<string, HostileRows>): HostileVerdict {
    const acknowledged = this.#acknowledged();
    const of = ({ message }: Published) => rows.get(message.topic) ?? { filed: 0, quarantined: 0 };
    const count = (one: Published) => of(one).filed + of(one).quarantined;
    const all = [...rows.values()];
    return {
      published: this.#published.length,
      acknowledged: acknowledged.length,
      refused: this.#refused,
      filed: all.reduce((sum, { filed }) => sum + filed, 0),
      quarantined: all.reduce((sum, { quarantined }) => sum + quarantined, 0),
      faults: [
        ...told(
          "were acknowledged and are in no table nor in _quarantine",
          acknowledged.filter((one) => count(one) === 0),
        ),
        ...told(
          "were sent once and filed twice",
          this.#published.filter((one) => one.isSentOnce && count(one) > 1),
        ),
        ...told(
          "are in a table, though nothing can be read of them",
          this.#published.filter((one) => one.message.isUnfilable && of(one).filed > 0),
        ),
      ],
    };
  }

  #acknowledged(): Published[] {
    return this.#published.filter(({ isAcknowledged }) => isAcknowledged);
  }
}

function told(what: string, found: readonly Published[]): string[] {
  if (found.length === 0) return [];
  const named = found.slice(0, namedMax).map(({ message }) => `${message.kind} (${message.topic})`);
  return [`${found.length} hostile messages ${what}: ${named.join(", ")}`];
}
