import { hash } from "node:crypto";
import { dedupKeyBytes } from "../../window/dedup-window.ts";

const lengthBytes = 4;

/**
 * Makes dedupe keys: the first 12 bytes of SHA-256 over topic id, device id and message id, each preceded by
 * its length (4 bytes, little-endian). The key of a message in quarantine also covers its content hash (4
 * more bytes). Reuses a scratch buffer: one maker per caller, no parallel calls.
 */
export class DedupeKeyMaker {
  #scratch = Buffer.allocUnsafeSlow(1024);
  #topicId: string | undefined;
  #topicEnd = 0;

  /** Writes the key to `target` at byte `offset`. With `contentHash`, the key covers id and content. */
  write(
    target: Buffer,
    offset: number,
    id: {
      readonly topicId: string;
      readonly deviceId: string;
      readonly messageId: Uint8Array;
      readonly contentHash?: number;
    },
  ): void {
    this.#setTopic(id.topicId);
    let end = this.#writeText(this.#topicEnd, id.deviceId);
    const { messageId, contentHash } = id;
    this.#reserve(end, messageId.length + 2 * lengthBytes);
    end = this.#scratch.writeUInt32LE(messageId.length, end);
    this.#scratch.set(messageId, end);
    end += messageId.length;
    if (contentHash !== undefined) end = this.#scratch.writeUInt32LE(contentHash, end);
    // "binary" is latin1. As text, the one-shot hash is four times as fast as with a buffer per result (Node
    // 20).
    const digest = hash("sha256", this.#scratch.subarray(0, end), "binary");
    target.write(digest, offset, dedupKeyBytes, "latin1");
  }

  /** Writes the key of a device in a topic: the same without a message id. */
  writeDevice(
    target: Buffer,
    offset: number,
    of: { readonly topicId: string; readonly deviceId: string },
  ): void {
    this.#setTopic(of.topicId);
    const end = this.#writeText(this.#topicEnd, of.deviceId);
    target.write(hash("sha256", this.#scratch.subarray(0, end), "binary"), offset, dedupKeyBytes, "latin1");
  }

  /** The topic comes first, because it seldom changes from one message to the next. */
  #setTopic(topicId: string): void {
    if (topicId === this.#topicId) return;
    this.#topicEnd = this.#writeText(0, topicId);
    this.#topicId = topicId;
  }

  #writeText(start: number, text: string): number {
    // UTF-8 takes at most three bytes per UTF-16 unit.
    this.#reserve(start, lengthBytes + text.length * 3);
    const bytes = this.#scratch.write(text, start + lengthBytes, "utf8");
    this.#scratch.writeUInt32LE(bytes, start);
    return start + lengthBytes + bytes;
  }

  #reserve(end: number, bytes: number): void {
    if (end + bytes <= this.#scratch.length) return;
    const grown = Buffer.allocUnsafeSlow(2 * (end + bytes));
    grown.set(this.#scratch.subarray(0, end));
    this.#scratch = grown;
  }
}
