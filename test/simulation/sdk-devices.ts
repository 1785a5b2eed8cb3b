import { sequenceSpan } from "../../devices/protocol/message-id.ts";
import type { ExpectedTime } from "./expected-time.ts";
import type { MendedTopic } from "./mended-topic.ts";
import type { SeededRandom } from "./seeded-random.ts";
import type { SentMessage } from "./sent-message.ts";

const deviceCount = 6;

interface SdkDevice {
  readonly deviceId: string;
  epoch: number;
  nextSequence: number;
  /** Not acknowledged, oldest first; `isStored`: a copy is in the stream nevertheless. */
  outbox: { readonly message: SentMessage; readonly sequence: number; isStored: boolean }[];
  /**
   * Messages with a copy in the stream, of this epoch and the one before. Old connections may bring another
   * copy at any time.
   */
  stored: { readonly message: SentMessage; readonly epoch: number }[];
  /** Stream time of its newest copy. */
  last: { readonly partition: number; readonly rowTimeMs: number } | null;
}

/**
 * Devices with the SDK. They resend unacknowledged messages, however late, and never run ahead of them by
 * the span. Some have a restored or copied outbox, which uses sequences again for other readings.
 */
export class SdkDevices {
  readonly #random: SeededRandom;
  /** By partition. */
  readonly #times: readonly ExpectedTime[];
  readonly #topic: MendedTopic;
  readonly #ignoresSpan: boolean;
  readonly #devices: readonly SdkDevice[];
  #messages = 0;

  constructor(options: {
    random: SeededRandom;
    times: readonly ExpectedTime[];
    topic: MendedTopic;
    ignoresSpan: boolean;
  }) {
    this.#random = options.random;
    this.#times = options.times;
    this.#topic = options.topic;
    this.#ignoresSpan = options.ignoresSpan;
    this.#devices = Array.from({ length: deviceCount }, (_, index) => ({
      deviceId: `sdk-${index}`,
      epoch: 1,
      nextSequence: 1,
      outbox: [],
      stored: [],
      last: null,
    }));
  }

  /** The next message of one of these devices that gets into the stream; null if there is none. */
  message(partition: number, isWanted: (deviceId: string) => boolean): SentMessage | null {
    const wanted = this.#devices.filter(({ deviceId }) => isWanted(deviceId));
    if (wanted.length === 0) return null;
    return this.#topic.judged(this.#messageOf(this.#random.pick(wanted), partition));
  }

  #messageOf(device: SdkDevice, partition: number): SentMessage {
    const random = this.#random;
    // Epochs that were last seen in the same second can't be ordered by age.
    if (random.chance(0.03) && this.#isSecondLater(device, partition)) reset(device);
    if (random.chance(0.2) && device.stored.length > 0) return random.pick(device.stored).message;
    if (random.chance(0.1)) {
      const again = this.#usedAgain(device);
      if (again) return again;
    }
    const unsent = device.outbox.filter(({ isStored }) => !isStored);
    const [oldest] = unsent;
    if (oldest && random.chance(0.3)) return this.#store(device, oldest);
    return this.#fresh(device);
  }

  /** Notes that a copy of a message of that device is in the partition. */
  stored(deviceId: string, partition: number): void {
    const device = this.#devices.find((each) => each.deviceId === deviceId);
    if (device) device.last = { partition, rowTimeMs: this.#times[partition]?.rowTimeMs ?? 0 };
  }

  #isSecondLater({ last }: SdkDevice, partition: number): boolean {
    const time = this.#times[partition];
    if (!last || !time) return true;
    const shiftMs = time.shifts.get(last.partition) ?? 0;
    return time.rowTimeMs - (last.rowTimeMs + shiftMs) > 1000;
  }

  /**
   * Another reading under a sequence that has a copy in the stream. It does not change the epoch's own
   * messages.
   */
  #usedAgain(device: SdkDevice): SentMessage | null {
    const used = device.stored.filter(({ epoch }) => epoch === device.epoch);
    if (used.length === 0) return null;
    const { sdk } = this.#random.pick(used).message;
    const message = this.#message(device, sdk?.sequence ?? 0);
    device.stored.push({ message, epoch: device.epoch });
    return message;
  }

  #fresh(device: SdkDevice): SentMessage {
    const random = this.#random;
    for (;;) {
      const [oldest] = device.outbox;
      const { nextSequence: sequence } = device;
      if (oldest && sequence - oldest.sequence >= sequenceSpan && !this.#ignoresSpan)
        return this.#store(device, oldest);
      const entry = { message: this.#message(device, sequence), sequence, isStored: false };
      device.outbox.push(entry);
      device.nextSequence += random.chance(0.6) ? 1 : 1 + random.below(random.chance(0.9) ? 150 : 70_000);
      // Some do not reach a broker at the first attempt.
      if (random.chance(0.8)) return this.#store(device, entry);
    }
  }

  /**
   * The message is in the stream, and is mostly acknowledged. Acknowledgements settle messages in any order.
   */
  #store(device: SdkDevice, entry: SdkDevice["outbox"][number]): SentMessage {
    entry.isStored = true;
    device.stored.push({ message: entry.message, epoch: device.epoch });
    device.stored = device.stored.filter(({ epoch }) => epoch >= device.epoch - 1).slice(-60);
    const isLate = entry.sequence === device.outbox[0]?.sequence;
    if (isLate || this.#random.chance(0.7)) device.outbox = device.outbox.filter((other) => other !== entry);
    return entry.message;
  }

  #message({ deviceId, epoch }: SdkDevice, sequence: number): SentMessage {
    const number = ++this.#messages;
    const facts = JSON.stringify({ deviceId, epoch, sequence, number });
    const payload = `${facts.slice(0, -1)},${this.#topic.field()}}`;
    const id = `${epoch}/${sequence}`;
    return this.#topic.judged({ deviceId, id, payload, fault: null, sdk: { epoch, sequence } });
  }
}

/** Its outbox is lost. */
function reset(device: SdkDevice): void {
  device.epoch += 1;
  device.nextSequence = 1;
  device.outbox = [];
}
