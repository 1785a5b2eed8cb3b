import type { MessagePlan } from "../scenario/message-plan.ts";
import { dupFlag, publishHead } from "./mqtt-packets.ts";

/** Writes the PUBLISH packets of a run. All are equally long. */
export class PublishEncoder {
  readonly packetBytes: number;
  readonly #plan: MessagePlan;
  readonly #startedAtMs: number;
  readonly #head: Uint8Array;
  readonly #topicAt: number;
  readonly #identifierAt: number;
  readonly #hasIdentifier: boolean;

  constructor(plan: MessagePlan, qos: 0 | 1, startedAtMs: number) {
    const topicName = Buffer.from(plan.names.topicTemplate);
    this.#plan = plan;
    this.#startedAtMs = startedAtMs;
    this.#head = publishHead(qos, topicName, plan.document.bytes);
    this.#hasIdentifier = qos === 1;
    this.#identifierAt = this.#head.length - 2;
    this.#topicAt = this.#head.length - (qos === 1 ? 2 : 0) - topicName.length;
    this.packetBytes = this.#head.length + plan.document.bytes;
  }

  write(target: Uint8Array, start: number, index: number, packetId: number, isResent: boolean): void {
    target.set(this.#head, start);
    if (isResent) target[start] = (target[start] as number) | dupFlag;
    this.#plan.names.writeTopicDevice(target, start + this.#topicAt, this.#plan.device(index));
    if (this.#hasIdentifier) {
      target[start + this.#identifierAt] = packetId >>> 8;
      target[start + this.#identifierAt + 1] = packetId & 0xff;
    }
    this.#plan.writeDocument(target, start + this.#head.length, index, this.#startedAtMs);
  }
}
