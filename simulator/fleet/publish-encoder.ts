import type { MessagePlan } from "../scenario/message-plan.ts";
import type { MessageShape } from "../scenario/message-shapes.ts";
import type { Qos } from "../scenario/scenario.ts";
import { dupFlag, publishHead } from "./mqtt-packets.ts";

/**
 * Head of the PUBLISH packets of one shape and quality of service: they differ in device and packet
 * identifier.
 */
interface PacketHead {
  readonly bytes: Uint8Array;
  readonly topicAt: number;
  readonly identifierAt: number;
  readonly hasIdentifier: boolean;
}

/** Writes the PUBLISH packets of a run. Without a mix all are equally long. */
export class PublishEncoder {
  /** Bytes of the longest packet that a device's own connection carries. */
  readonly packetBytesMax: number;
  readonly #plan: MessagePlan;
  readonly #startedAtMs: number;
  readonly #mainHead: PacketHead;
  readonly #heads = new Map<MessageShape, PacketHead[]>();

  constructor(plan: MessagePlan, startedAtMs: number) {
    this.#plan = plan;
    this.#startedAtMs = startedAtMs;
    const { shapes } = plan;
    for (const shape of shapes.all)
      this.#heads.set(
        shape,
        ([0, 1, 2] as const).map((qos) => headOf(shape, qos)),
      );
    this.#mainHead = this.#headFor(shapes.main, plan.qos(0));
    this.packetBytesMax = Math.max(...shapes.topics.map((shape) => this.#bytesOf(shape, 2)));
  }

  /** Length of a message's packet. */
  bytes(index: number): number {
    return this.#bytesOf(this.#plan.shape(index), this.#plan.qos(index));
  }

  /** Writes a message's packet at `start`. Returns its length. */
  write(target: Uint8Array, start: number, index: number, packetId: number, isResent: boolean): number {
    const plan = this.#plan;
    const isMixed = plan.roles.isMixed;
    const shape = isMixed ? plan.shape(index) : plan.shapes.main;
    const head = isMixed ? this.#headFor(shape, plan.qos(index)) : this.#mainHead;
    target.set(head.bytes, start);
    if (isResent) target[start] = (target[start] as number) | dupFlag;
    shape.names.writeTopicDevice(target, start + head.topicAt, plan.device(index));
    if (head.hasIdentifier) {
      target[start + head.identifierAt] = packetId >>> 8;
      target[start + head.identifierAt + 1] = packetId & 0xff;
    }
    plan.writeDocument(target, start + head.bytes.length, index, this.#startedAtMs);
    return head.bytes.length + shape.document.bytes;
  }

  #headFor(shape: MessageShape, qos: Qos): PacketHead {
    return this.#heads.get(shape)?.[qos] as PacketHead;
  }

  #bytesOf(shape: MessageShape, qos: Qos): number {
    return this.#headFor(shape, qos).bytes.length + shape.document.bytes;
  }
}

function headOf({ names, document }: MessageShape, qos: Qos): PacketHead {
  const topicName = Buffer.from(names.topicTemplate);
  const bytes = publishHead(qos, topicName, document.bytes);
  const hasIdentifier = qos > 0;
  return {
    bytes,
    hasIdentifier,
    identifierAt: bytes.length - 2,
    topicAt: bytes.length - (hasIdentifier ? 2 : 0) - topicName.length,
  };
}
