import { parseTopicFilter } from "../../devices/protocol/topic-filter.ts";
import { base36Width, decimalWidth, readBase36, writeBase36, writeDecimal } from "./digits.ts";
import { type Scenario, totalMessages } from "./scenario.ts";

const separator = 0x2e;
const devicePrefix = "sim-";

/** True if topic names of this filter name the device. */
export function namesDevice(filter: string): boolean {
  return topicParts(filter).after !== null;
}

interface TopicParts {
  readonly before: string;
  /** null if topic names of the filter do not name the device. */
  readonly after: string | null;
}

/** The topic name for a filter and a device: other named levels and wildcards get one fixed text each. */
function topicParts(filter: string): TopicParts {
  const { levels } = parseTopicFilter(filter);
  const texts = levels.map((level) => {
    if (level.kind === "literal") return level.text;
    return level.kind === "named" ? `${level.name}-0` : "sim";
  });
  const at = levels.findIndex((level) => level.kind === "named" && level.name === "device");
  if (at < 0) return { before: texts.join("/"), after: null };
  const before = [...texts.slice(0, at), ""].join("/");
  return { before, after: ["", ...texts.slice(at + 1)].join("/") };
}

/**
 * The positions of the parts of a message id: `<run id>.<device, base 36>.<sequence, base 36>`. All ids of a
 * run have one length.
 */
export class MessageNames {
  readonly idBytes: number;
  /** Topic name of device 0. */
  readonly topicTemplate: string;
  /** Where the device's number ends in the topic name, in bytes; 0 if the name has none. */
  readonly topicDeviceEnd: number;
  readonly deviceDigits: number;
  readonly #runId: Uint8Array;
  readonly #devices: number;
  readonly #total: number;
  readonly #deviceWidth: number;
  readonly #sequenceWidth: number;
  readonly #topic: TopicParts;

  constructor(scenario: Scenario) {
    this.#runId = Buffer.from(scenario.runId, "latin1");
    this.#devices = scenario.devices;
    this.#total = totalMessages(scenario);
    this.#deviceWidth = base36Width(scenario.devices);
    this.#sequenceWidth = base36Width(Math.ceil(this.#total / scenario.devices));
    this.#topic = topicParts(scenario.filter);
    this.idBytes = this.#runId.length + 2 + this.#deviceWidth + this.#sequenceWidth;
    this.deviceDigits = decimalWidth(scenario.devices);
    this.topicTemplate = this.topicName(0);
    this.topicDeviceEnd =
      this.#topic.after === null ? 0 : Buffer.byteLength(this.#topic.before + this.deviceId(0));
  }

  /** Identity of a device: the gateway must file messages under it. */
  deviceId(device: number): string {
    return devicePrefix + String(device).padStart(this.deviceDigits, "0");
  }

  topicName(device: number): string {
    const { before, after } = this.#topic;
    return after === null ? before : before + this.deviceId(device) + after;
  }

  /** Changes the device in a topic name that begins at `start` of `target`. */
  writeTopicDevice(target: Uint8Array, start: number, device: number): void {
    if (this.topicDeviceEnd > 0) writeDecimal(target, start + this.topicDeviceEnd, this.deviceDigits, device);
  }

  writeId(target: Uint8Array, start: number, device: number, sequence: number): void {
    target.set(this.#runId, start);
    let end = start + this.#runId.length;
    target[end] = separator;
    end += 1 + this.#deviceWidth;
    writeBase36(target, end, this.#deviceWidth, device);
    target[end] = separator;
    writeBase36(target, end + 1 + this.#sequenceWidth, this.#sequenceWidth, sequence);
  }

  /**
   * Device and sequence of an id of this run that begins at `start`; null if no message of the run has this
   * id.
   */
  readId(bytes: Uint8Array, start: number): { device: number; sequence: number } | null {
    const deviceAt = start + this.#runId.length + 1;
    const sequenceAt = deviceAt + this.#deviceWidth + 1;
    if (bytes[deviceAt - 1] !== separator || bytes[sequenceAt - 1] !== separator) return null;
    const device = readBase36(bytes, deviceAt, this.#deviceWidth);
    const sequence = readBase36(bytes, sequenceAt, this.#sequenceWidth);
    return device < 0 || sequence < 0 || device >= this.#devices || sequence * this.#devices >= this.#total
      ? null
      : { device, sequence };
  }
}
