import { encodeBlock } from "../../bridge/block/block-builder.ts";
import { type BlockMessage, maxBlockBytes } from "../../bridge/block/block-format.ts";
import type { TopicVersion } from "../../bridge/topics/topic-catalog.ts";
import { encodeMessageId } from "../../devices/protocol/message-id.ts";
import { encodeEnvelope } from "../../devices/protocol/telemetry-envelope.ts";
import type { MemoryStream } from "../support/memory-stream.ts";
import { sdkEventTimeMs, widestBounds } from "./event-hour.ts";
import { ExpectedTime } from "./expected-time.ts";
import { Gateways, type Lane, type SealedBlock } from "./gateways.ts";
import { MendedTopic } from "./mended-topic.ts";
import { MovingTopics, movingTopicIds } from "./moving-topics.ts";
import { SdkDevices } from "./sdk-devices.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { type SentBlock, type SentMessage, topicNameOf } from "./sent-message.ts";

/** Number of partitions at first. */
export const partitionCount = 2;
const openPartitionsMax = 4;
const partitionsMax = 12;
/** A block that was given up gets into the stream within this time, or never. */
const lateMaxMs = 12 * 3_600_000;
/** Longest silences, one for each run. After the longest one, no window knows earlier ids. */
const silencesMaxMs = [
  ...[80_000, 80_000, 80_000, 80_000],
  ...[3_600_000, 3_600_000, 40 * 3_600_000, 25 * 86_400_000],
];
/** How old readings are when they are sent. The last ones count as outside of the bounds. */
const delaysMs = [0, 0, 0, 50 * 60_000, 3 * 3_600_000, 30 * 86_400_000];
const plainDevices = Array.from({ length: 10 }, (_, index) => `device-${index}`);

function topic(topicId: string, name: string, dedupeWindowMs: number): TopicVersion {
  const paths = { idPath: "id", timePath: "ts", schema: null, columns: [] };
  return { topicId, version: 1, name, format: "json", ...paths, dedupeWindowMs };
}

/** Two tables with different windows, so that ids of one expire later. */
const jsonTopics: readonly TopicVersion[] = [
  topic("topic-a", "alpha", 60_000),
  topic("topic-b", "beta", 15_000),
];
export const exactTopicId = "topic-c";
const exactTopic: TopicVersion = {
  ...topic(exactTopicId, "gamma", 5_000),
  format: "envelope",
  idPath: "",
  timePath: "",
  dedupe: "exact",
  ...widestBounds,
};
const mendedTopic = topic("topic-f", "phi", 30_000);

/** Devices and the broker: appends blocks to the stream, and remembers all of them. */
export class Workload {
  /** By partition. */
  readonly history: SentBlock[][] = [];
  readonly #stream: MemoryStream;
  readonly #random: SeededRandom;
  readonly #clock: { nowMs: number };
  /** By partition. */
  readonly times: ExpectedTime[] = [];
  readonly #gateways: Gateways;
  /** Whether messages are of several hours, and some are late. */
  readonly #hasHours: boolean;
  /** Longest silence in this run. */
  readonly #silenceMaxMs: number;
  /** Blocks that were given up before they reached the stream. */
  #underWay: SealedBlock[] = [];
  #recent: SentMessage[] = [];
  readonly #moving: MovingTopics;
  readonly #mended: MendedTopic;
  readonly #exact: MendedTopic;
  readonly #sdkDevices: SdkDevices;
  #count = 0;

  constructor(options: {
    stream: MemoryStream;
    random: SeededRandom;
    clock: { nowMs: number };
    ignoresSpan: boolean;
    keepsIds: boolean;
    hasHours: boolean;
  }) {
    const { stream, random, clock } = options;
    this.#stream = stream;
    this.#random = random;
    this.#clock = clock;
    this.#hasHours = options.hasHours;
    this.#silenceMaxMs = random.pick(silencesMaxMs);
    const count = random.chance(0.4) ? 1 : 2 + random.below(2);
    const { streamId } = stream;
    this.#gateways = new Gateways({ ...options, streamId, count, silenceMaxMs: this.#silenceMaxMs });
    this.#moving = new MovingTopics(random);
    this.#mended = new MendedTopic(mendedTopic, random);
    this.#exact = new MendedTopic(exactTopic, random);
    this.#sdkDevices = new SdkDevices({ ...options, times: this.times, topic: this.#exact });
    this.#learnPartitions();
  }

  /** All topic versions so far. */
  get topics(): readonly TopicVersion[] {
    return [...jsonTopics, ...this.#exact.versions, ...this.#mended.versions, ...this.#moving.versions];
  }

  /** Splits an open partition, or merges two neighbours. Blocks under way land in the new ones. */
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
    for (const { partition, parents } of this.#stream.partitions.all) {
      this.history[partition] ??= [];
      const before = parents.map((parent) => [parent, this.times[parent] as ExpectedTime] as const);
      this.times[partition] ??= ExpectedTime.after(new Map(before));
    }
  }

  /**
   * The broker did not know of the change: its block lands in another partition, perhaps twice, and it
   * appends the messages again to the right one.
   */
  #misroute(partition: number): void {
    const random = this.#random;
    const lane = this.#gateways.lane(partition);
    if (random.chance(0.2)) this.#resendBlock(lane);
    if (random.chance(0.3)) return;
    const sent = random.chance(0.3) ? [] : this.#messages(this.#stream.landingOf(partition));
    this.#append(lane, sent, false);
    if (random.chance(0.3)) this.#resendBlock(lane);
    for (const message of sent) {
      const target = this.#stream.partitions.partitionOfDevice(message.deviceId);
      this.#append(this.#gateways.lane(target), [message], true);
    }
  }

  /** One action of devices, brokers or their machines. */
  act(): void {
    const random = this.#random;
    const partition = random.pick(this.#stream.openPartitions());
    const dice = random.next();
    const lane = () => this.#gateways.lane(partition);
    if (dice < 0.58) this.#append(lane(), this.#messages(partition), random.chance(0.9));
    else if (dice < 0.65) this.#resendBlock(lane());
    else if (dice < 0.72) this.#claim(partition);
    else if (dice < 0.76) this.#gateways.restart();
    else if (dice < 0.79) this.#gateways.stepWallClock();
    else if (dice < 0.82) this.#delay(lane(), partition);
    else if (dice < 0.87) random.pick([this.#moving, this.#mended, this.#exact]).change();
    else if (dice < 0.95) this.#clock.nowMs += random.below(3000);
    else if (dice < 0.96) this.#gateways.standStill();
    else this.#clock.nowMs += random.below(this.#silenceMaxMs);
  }

  /** An idle lane claims its tail. */
  #claim(partition: number): void {
    const unclaimed = this.#gateways.unclaimed().filter((lane) => !this.#stream.isClosed(lane.partition));
    const lane = unclaimed.length > 0 ? this.#random.pick(unclaimed) : this.#gateways.lane(partition);
    this.#append(lane, [], true);
  }

  /** A block is given up before it reaches the stream; or a block that was given up arrives, hours late. */
  #delay(lane: Lane, partition: number): void {
    const random = this.#random;
    if (random.chance(0.5)) {
      // For devices with the SDK, a message is not sent before it is in the stream.
      const messages = [this.#plainMessage(partition)];
      this.#underWay.push({ seal: lane.identity.seal(), messages, sealedAtMs: this.#clock.nowMs });
      return;
    }
    const [block] = this.#underWay.splice(0, 1);
    // Later, its copy might have been forgotten.
    if (block && this.#clock.nowMs - block.sealedAtMs < lateMaxMs) this.#store(block);
  }

  #append(lane: Lane, messages: readonly SentMessage[], isAcknowledged: boolean): void {
    const block = { seal: lane.identity.seal(), messages, sealedAtMs: this.#clock.nowMs };
    lane.last = block;
    this.#store(block);
    // An acknowledgement takes some time, and may be late.
    this.#clock.nowMs += this.#random.chance(0.95) ? this.#random.below(20) : this.#random.below(30_000);
    if (isAcknowledged) lane.identity.acknowledged(messages.length);
  }

  /** The broker got no answer and sends the same bytes again. */
  #resendBlock({ last }: Lane): void {
    if (last && this.#clock.nowMs - last.sealedAtMs < lateMaxMs) this.#store(last);
  }

  #store({ seal, messages, sealedAtMs }: SealedBlock): void {
    const block = encodeBlock(seal, messages.map(blockMessage), maxBlockBytes);
    const { producerId, partition: meantPartition, sequence, lastAcknowledgedSequence, time } = seal;
    const isClosed = this.#stream.isClosed(meantPartition);
    const place = isClosed ? this.#stream.landingOf(meantPartition) : meantPartition;
    const position = this.#stream.store(place, block);
    const header = { ...time, lastAcknowledgedSequence, producerId, meantPartition, sequence };
    const expected = this.times[place] as ExpectedTime;
    const isCopy = expected.isCopy(header);
    if (!isCopy) expected.read(header);
    const { timeMs: streamTimeMs, rowTimeMs } = expected;
    const appendedAtMs = this.#clock.nowMs;
    const where = { position, sealedAtMs, appendedAtMs, isCopy, streamTimeMs, rowTimeMs };
    this.history[place]?.push({ ...header, ...where, messages });
    for (const { sdk, deviceId } of messages) if (sdk) this.#sdkDevices.stored(deviceId, place);
    this.#recent = [...this.#recent, ...messages.filter(({ sdk }) => !sdk)].slice(-80);
  }

  #messages(partition: number): SentMessage[] {
    return Array.from({ length: 1 + this.#random.below(5) }, () => this.#message(partition));
  }

  #message(partition: number): SentMessage {
    const random = this.#random;
    const message = random.chance(0.35)
      ? this.#sdkDevices.message(partition, (deviceId) => this.#isIn(partition, deviceId))
      : null;
    return message ?? this.#plainMessage(partition);
  }

  #isIn(partition: number, deviceId: string): boolean {
    return this.#stream.partitions.partitionOfDevice(deviceId) === partition;
  }

  #plainMessage(partition: number): SentMessage {
    const random = this.#random;
    const isHere = (deviceId: string) => this.#isIn(partition, deviceId);
    const recent = this.#recent.filter((message) => isHere(message.deviceId));
    const dice = random.next();
    if (dice < 0.35 && recent.length > 0) return this.#judged(random.pick(recent));
    const deviceId = this.#deviceOf(partition, isHere);
    const fresh = this.#freshMessage(deviceId, random.pick(jsonTopics));
    if (random.chance(0.3)) return this.#judged({ ...fresh, topicName: this.#moving.nameOf(deviceId) });
    if (random.chance(0.3)) return this.#mendedMessage(fresh);
    if (dice < 0.4 && recent.length > 0) {
      const used = random.pick(recent);
      if (random.chance(0.3) && !isMoving(used))
        return { ...used, topicName: `fleet/${used.deviceId}/${random.below(3)}` };
      const { topicName } = used;
      const other = used.id === null ? null : this.#otherContent(used, used.id);
      if (other && isMended(used)) return this.#mendedMessage(other);
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

  #mendedMessage(message: SentMessage): SentMessage {
    const payload = `${message.payload.slice(0, -1)},${this.#mended.field()}}`;
    return this.#mended.judged({ ...message, payload });
  }

  /** The topic version by which the broker accepts it now. */
  #judged(message: SentMessage): SentMessage {
    if (isMended(message)) return this.#mended.judged(message);
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
    return withId(deviceId, of, `m${number}`, { number, ts: this.#eventTimeMs(number) });
  }

  #eventTimeMs(number: number): number {
    if (!this.#hasHours) return 1_000_000;
    return this.#clock.nowMs - (delaysMs[number % delaysMs.length] ?? 0);
  }

  #otherContent({ deviceId, topic: of }: SentMessage, id: string): SentMessage {
    const number = this.#next();
    return withId(deviceId, of, id, { number, ts: this.#eventTimeMs(number) });
  }

  #next(): number {
    this.#count += 1;
    return this.#count;
  }
}

function isMoving({ topic: { topicId } }: SentMessage): boolean {
  return movingTopicIds.includes(topicId);
}

function isMended({ topic: { topicId } }: SentMessage): boolean {
  return topicId === mendedTopic.topicId;
}

function withId(
  deviceId: string,
  of: TopicVersion,
  id: string,
  { number, ts }: { number: number; ts: number },
): SentMessage {
  return { topic: of, deviceId, id, payload: JSON.stringify({ id, ts, n: number }), fault: null };
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
    eventTimeMs: sdkEventTimeMs,
    sequence: sdk.sequence,
    contentType: "",
    payload: text,
  });
}
