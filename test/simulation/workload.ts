import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, type BlockSeal, MAX_BLOCK_BYTES } from "../../bridge/block/block-format.ts";
import type { TopicVersion } from "../../bridge/consumer/topic-catalog.ts";
import { encodeMessageId } from "../../devices/protocol/message-id.ts";
import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import { blockTime } from "../support/block-time.ts";
import type { MemoryStream } from "../support/memory-stream.ts";
import { MovingTopics, movingTopicIds } from "./moving-topics.ts";
import { SdkDevices } from "./sdk-devices.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { type SentBlock, type SentMessage, topicNameOf } from "./sent-message.ts";

/** How many there are at first. */
export const partitionCount = 2;
const openPartitionsMax = 4;
const partitionsMax = 12;
const plainDevices = Array.from({ length: 10 }, (_, index) => `device-${index}`);

function topic(topicId: string, name: string, dedupeWindowMs: number): TopicVersion {
  const paths = { idPath: "id", timePath: "ts", schema: null, columns: [] };
  return { topicId, version: 1, name, format: "json", ...paths, dedupeWindowMs };
}

/** Two tables with different windows, so that ids of one live longer than those of the other. */
const jsonTopics: readonly TopicVersion[] = [
  topic("topic-a", "alpha", 60_000),
  topic("topic-b", "beta", 15_000),
];
const exactTopic: TopicVersion = {
  ...topic("topic-c", "gamma", 5_000),
  format: "envelope",
  idPath: "",
  timePath: "",
  dedupe: "exact",
};
/** Those that never change. */
export const fixedTopics: readonly TopicVersion[] = [...jsonTopics, exactTopic];

interface Producer {
  readonly id: string;
  sequence: number;
  lastAcknowledgedSequence: number;
  acknowledgedMessages: number;
  lastBlock: { seal: BlockSeal; messages: readonly SentMessage[] } | null;
}

/** Devices and the broker: puts blocks into the stream, and knows every one of them. */
export class Workload {
  /** By partition. */
  readonly history: SentBlock[][] = [];
  readonly #stream: MemoryStream;
  readonly #random: SeededRandom;
  readonly #clock: { nowMs: number };
  readonly #producers: Producer[] = [];
  #recent: SentMessage[] = [];
  readonly #moving: MovingTopics;
  readonly #sdkDevices: SdkDevices;
  #count = 0;

  constructor(options: {
    stream: MemoryStream;
    random: SeededRandom;
    clock: { nowMs: number };
    ignoresSpan: boolean;
  }) {
    this.#stream = options.stream;
    this.#random = options.random;
    this.#clock = options.clock;
    this.#sdkDevices = new SdkDevices({ ...options, topic: exactTopic });
    this.#moving = new MovingTopics(options.random);
    this.#learnPartitions();
  }

  /** Every topic version that was made so far. */
  get topics(): readonly TopicVersion[] {
    return [...fixedTopics, ...this.#moving.versions];
  }

  /** Splits an open partition, or merges two neighbours; what was under way to them lands in what took their place. */
  divide(): void {
    const open = this.#stream.openPartitions();
    if (this.#stream.partitions.all.length >= partitionsMax) return;
    const at = this.#random.below(open.length);
    const next = open[at + 1];
    const closed = [open[at] as number];
    if (next !== undefined && (open.length >= openPartitionsMax || this.#random.chance(0.4))) {
      closed.push(next);
      this.#stream.merge(closed[0] as number, next);
    } else if (open.length < openPartitionsMax) this.#stream.split(closed[0] as number);
    else return;
    this.#learnPartitions();
    for (const partition of closed) this.#misroute(partition);
  }

  #learnPartitions(): void {
    for (const { partition } of this.#stream.partitions.all) {
      this.history[partition] ??= [];
      this.#producers[partition] ??= this.#freshProducer();
    }
  }

  /** The broker did not know yet: its block lands elsewhere, perhaps twice, and its messages are sent again to where they belong. */
  #misroute(partition: number): void {
    const random = this.#random;
    if (random.chance(0.2)) this.#resendBlock(partition);
    if (random.chance(0.3)) return;
    const sent = random.chance(0.3) ? [] : this.#messages(this.#stream.landingOf(partition));
    this.#append(partition, sent, false);
    if (random.chance(0.3)) this.#resendBlock(partition);
    for (const message of sent) {
      const target = this.#stream.partitions.partitionOfDevice(message.deviceId);
      this.#append(target, [message], true);
    }
  }

  /** One thing that devices or the broker do. */
  act(): void {
    const random = this.#random;
    const partition = random.pick(this.#stream.openPartitions());
    const dice = random.next();
    if (dice < 0.62) this.#append(partition, this.#messages(partition), random.chance(0.9));
    else if (dice < 0.72) this.#resendBlock(partition);
    else if (dice < 0.77) this.#append(partition, [], true);
    else if (dice < 0.82) this.#producers[partition] = this.#freshProducer();
    else if (dice < 0.87) this.#moving.change();
    else if (dice < 0.95) this.#clock.nowMs += random.below(3000);
    else this.#clock.nowMs += random.below(80_000);
  }

  #freshProducer(): Producer {
    const id = (this.#random.below(2 ** 32) + 1).toString(16).padStart(16, "0");
    return { id, sequence: 0, lastAcknowledgedSequence: 0, acknowledgedMessages: 0, lastBlock: null };
  }

  #append(partition: number, messages: readonly SentMessage[], isAcknowledged: boolean): void {
    const producer = this.#producers[partition] as Producer;
    producer.sequence += 1;
    const seal: BlockSeal = {
      streamId: this.#stream.streamId,
      producerId: producer.id,
      partition,
      sequence: producer.sequence,
      lastAcknowledgedSequence: producer.lastAcknowledgedSequence,
      acknowledgedMessages: producer.acknowledgedMessages,
      time: blockTime(this.#clock.nowMs),
    };
    producer.lastBlock = { seal, messages };
    this.#store(partition, seal, messages);
    if (!isAcknowledged) return;
    producer.lastAcknowledgedSequence = producer.sequence;
    producer.acknowledgedMessages += messages.length;
  }

  /** The broker got no answer and sends the same bytes again. */
  #resendBlock(partition: number): void {
    const last = this.#producers[partition]?.lastBlock;
    if (last) this.#store(partition, last.seal, last.messages);
  }

  #store(partition: number, seal: BlockSeal, messages: readonly SentMessage[]): void {
    const block = encodeBlock(seal, messages.map(blockMessage), MAX_BLOCK_BYTES);
    const place = this.#stream.isClosed(partition) ? this.#stream.landingOf(partition) : partition;
    const position = this.#stream.store(place, block);
    const { producerId, partition: meantPartition, sequence } = seal;
    const appendTimeMs = this.#clock.nowMs;
    this.history[place]?.push({ position, appendTimeMs, producerId, meantPartition, sequence, messages });
    this.#recent = [...this.#recent, ...messages.filter(({ sdk }) => !sdk)].slice(-80);
  }

  #messages(partition: number): SentMessage[] {
    return Array.from({ length: 1 + this.#random.below(5) }, () => this.#message(partition));
  }

  #message(partition: number): SentMessage {
    const random = this.#random;
    const isHere = (deviceId: string) => this.#stream.partitions.partitionOfDevice(deviceId) === partition;
    if (random.chance(0.35)) {
      const message = this.#sdkDevices.message(isHere);
      if (message) return message;
    }
    const recent = this.#recent.filter((message) => isHere(message.deviceId));
    const dice = random.next();
    if (dice < 0.35 && recent.length > 0) return this.#judged(random.pick(recent));
    const deviceId = this.#deviceOf(partition, isHere);
    const fresh = this.#freshMessage(deviceId, random.pick(jsonTopics));
    if (random.chance(0.3)) return this.#judged({ ...fresh, topicName: this.#moving.nameOf(deviceId) });
    if (dice < 0.4 && recent.length > 0) {
      const used = random.pick(recent);
      if (random.chance(0.3) && !isMoving(used))
        return { ...used, topicName: `fleet/${used.deviceId}/${random.below(3)}` };
      const { topicName } = used;
      const other = used.id === null ? null : withId(used.deviceId, used.topic, used.id, this.#next());
      if (other) return topicName === undefined ? other : this.#judged({ ...other, topicName });
    }
    if (dice < 0.43)
      return { ...fresh, id: null, payload: `{"ts":1,"n":${this.#next()}}`, fault: "id-missing" };
    if (dice < 0.46)
      return { ...fresh, id: null, payload: `{"n":${this.#next()}`, fault: "payload-undecodable" };
    if (dice < 0.5) {
      const payload = JSON.stringify({ id: fresh.id, ts: "yesterday", n: this.#next() });
      return { ...fresh, payload, fault: "event-time-unreadable" };
    }
    return fresh;
  }

  /** As the broker judges it now that takes it. */
  #judged(message: SentMessage): SentMessage {
    const isPlant = message.topicName?.startsWith("plant/");
    return isPlant ? { ...message, topic: this.#moving.topicOf(topicNameOf(message)) } : message;
  }

  #deviceOf(partition: number, isHere: (deviceId: string) => boolean): string {
    const found = plainDevices.filter(isHere);
    if (found.length > 0) return this.#random.pick(found);
    for (let index = 0; ; index++)
      if (isHere(`device-${partition}-${index}`)) return `device-${partition}-${index}`;
  }

  #freshMessage(deviceId: string, of: TopicVersion): SentMessage {
    const number = this.#next();
    return withId(deviceId, of, `m${number}`, number);
  }

  #next(): number {
    this.#count += 1;
    return this.#count;
  }
}

function isMoving({ topic: { topicId } }: SentMessage): boolean {
  return movingTopicIds.includes(topicId);
}

function withId(deviceId: string, of: TopicVersion, id: string, number: number): SentMessage {
  return { topic: of, deviceId, id, payload: JSON.stringify({ id, ts: 1_000_000, n: number }), fault: null };
}

function blockMessage(message: SentMessage): BlockMessage {
  const { topic, deviceId } = message;
  const topicName = topicNameOf(message);
  const { topicId, version: topicVersion } = topic;
  return { topicId, topicVersion, topicName, deviceId, qos: 1, payload: Buffer.from(bytesOf(message)) };
}

function bytesOf({ payload, sdk }: SentMessage): Uint8Array {
  const text = Buffer.from(payload);
  if (!sdk) return text;
  const epoch = Buffer.alloc(8, sdk.epoch);
  const messageId = encodeMessageId({ epoch, sequence: sdk.sequence });
  return encodeEnvelope({
    messageId,
    eventTimeMs: 1_000_000,
    sequence: sdk.sequence,
    contentType: "",
    payload: text,
  });
}
