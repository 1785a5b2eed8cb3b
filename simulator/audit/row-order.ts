import type { PlaceOrder, RowPlace } from "./row-places.ts";

/** The position of a row relative to earlier published rows of its device. */
export type RowTurn = "after" | "before" | "unknown";

/**
 * Checks that a device's rows stand in the order in which the device published them (G5). Rows are compared
 * within a stream, and with streams that were read before or after it. Rows of streams that were read at the
 * same time are not compared.
 */
export class RowOrder {
  readonly #order: PlaceOrder;
  /** By device: the highest rank so far, and its stream. */
  readonly #highest: Float64Array;
  readonly #streams: Uint16Array;

  constructor(order: PlaceOrder, devices: number) {
    this.#order = order;
    this.#highest = new Float64Array(devices).fill(-1);
    this.#streams = new Uint16Array(devices);
  }

  /** Takes the rows of each device in the order of its publishes. */
  next(device: number, place: RowPlace): RowTurn {
    const rank = this.#order.rank(place);
    if (Number.isNaN(rank)) return "unknown";
    const stream = this.#order.stream(place);
    const highest = this.#highest[device] as number;
    const isCompared = highest < 0 || this.#isCompared(this.#streams[device] as number, stream);
    if (isCompared && rank <= highest) return "before";
    this.#highest[device] = rank;
    this.#streams[device] = stream;
    return isCompared ? "after" : "unknown";
  }

  #isCompared(left: number, right: number): boolean {
    const { eras } = this.#order;
    return left === right || eras[left] !== eras[right];
  }
}
