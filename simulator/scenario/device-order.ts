import { seededSequence } from "./seeded-hash.ts";

const shuffleStream = 1;

/**
 * The order in which devices take their turns: a seeded shuffle, the same in every round. Device `at(slot)`
 * publishes at `slot` of each round. 4 bytes per device.
 */
export class DeviceOrder {
  readonly #devices: Uint32Array;

  constructor(seed: number, devices: number) {
    const order = Uint32Array.from({ length: devices }, (_, index) => index);
    const random = seededSequence(seed, shuffleStream);
    for (let index = devices - 1; index > 0; index--) {
      const other = Math.floor(random() * (index + 1));
      const device = order[index] as number;
      order[index] = order[other] as number;
      order[other] = device;
    }
    this.#devices = order;
  }

  at(slot: number): number {
    return this.#devices[slot] as number;
  }

  /** Slot by device. */
  inverse(): Uint32Array {
    const slots = new Uint32Array(this.#devices.length);
    this.#devices.forEach((device, slot) => {
      slots[device] = slot;
    });
    return slots;
  }
}
