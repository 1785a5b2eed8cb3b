import { EXACT_EPOCHS_MAX, EXACT_SPAN } from "../../bridge/window/dedup-window.ts";

/** One id of the SDK. */
export interface ExactId {
  readonly device: string;
  readonly epoch: string;
  readonly sequence: number;
  readonly seenAtSeconds: number;
}

interface Epoch {
  seenAtSeconds: number;
  high: number;
  readonly sequences: Set<number>;
}

/** What a window must remember of exact ids, straight from the words of the port. */
export class ExactModel {
  readonly #devices = new Map<string, Map<string, Epoch>>();

  add({ device, epoch, sequence, seenAtSeconds }: ExactId): void {
    const epochs = this.#devices.get(device) ?? new Map<string, Epoch>();
    this.#devices.set(device, epochs);
    let held = epochs.get(epoch);
    if (!held) {
      if (epochs.size === EXACT_EPOCHS_MAX) {
        const [oldest] = [...epochs].toSorted(
          ([, left], [, right]) => left.seenAtSeconds - right.seenAtSeconds,
        );
        if (!oldest || oldest[1].seenAtSeconds > seenAtSeconds) return;
        epochs.delete(oldest[0]);
      }
      held = { seenAtSeconds, high: sequence, sequences: new Set() };
      epochs.set(epoch, held);
    }
    held.sequences.add(sequence);
    held.high = Math.max(held.high, sequence);
    held.seenAtSeconds = Math.max(held.seenAtSeconds, seenAtSeconds);
  }

  knows({ device, epoch, sequence }: Omit<ExactId, "seenAtSeconds">): boolean {
    const held = this.#devices.get(device)?.get(epoch);
    return held !== undefined && (sequence <= held.high - EXACT_SPAN || held.sequences.has(sequence));
  }

  /** How many epochs it holds. */
  get epochs(): number {
    return [...this.#devices.values()].reduce((sum, epochs) => sum + epochs.size, 0);
  }

  copy(): ExactModel {
    const copy = new ExactModel();
    for (const [device, epochs] of this.#devices)
      copy.#devices.set(
        device,
        new Map([...epochs].map(([name, held]) => [name, { ...held, sequences: new Set(held.sequences) }])),
      );
    return copy;
  }
}
