import { exactEpochsMax, exactSpan } from "../../bridge/lake/window/dedup-window.ts";

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

/** A model of the exact ids that a window must remember, straight from the words of the port. */
export class ExactModel {
  readonly #devices = new Map<string, Map<string, Epoch>>();

  add({ device, epoch, sequence, seenAtSeconds }: ExactId): void {
    const epochs = this.#devices.get(device) ?? new Map<string, Epoch>();
    this.#devices.set(device, epochs);
    let held = epochs.get(epoch);
    if (!held) {
      if (epochs.size === exactEpochsMax) {
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
    return held !== undefined && (sequence <= held.high - exactSpan || held.sequences.has(sequence));
  }

  /** Number of epochs. */
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
