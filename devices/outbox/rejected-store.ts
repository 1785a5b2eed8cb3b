import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeFolderDurably } from "../protocol/durable-folder.ts";
import { removeTemporaryFiles, writeFileDurably } from "./durable-file.ts";

export interface RejectedMessage {
  /** 32 hexadecimal digits. */
  readonly id: string;
  readonly topic: string;
  /** The bytes as sent: an envelope, or JSON. */
  readonly payload: Uint8Array;
  readonly rejectedAtMs: number;
}

export interface RejectedStoreLimits {
  readonly maxMessages: number;
  readonly maxBytes: number;
}

interface StoredRejection {
  readonly format: 1;
  readonly id: string;
  readonly topic: string;
  readonly payloadBase64: string;
  readonly rejectedAt: string;
}

/**
 * Messages that the gateway refused, one file each, for an operator to inspect. A full store deletes its
 * oldest.
 */
export class RejectedStore {
  readonly #folder: string;
  readonly #limits: RejectedStoreLimits;

  private constructor(folder: string, limits: RejectedStoreLimits) {
    this.#folder = folder;
    this.#limits = limits;
  }

  static async open(folder: string, limits: RejectedStoreLimits): Promise<RejectedStore> {
    makeFolderDurably(folder, { mode: 0o700 });
    await removeTemporaryFiles(folder);
    return new RejectedStore(folder, limits);
  }

  /**
   * Resolves when the message is durable, with the number of older ones that were deleted for it. The same id
   * is stored once.
   */
  async add(message: RejectedMessage): Promise<{ forgotten: number }> {
    const stored: StoredRejection = {
      format: 1,
      id: message.id,
      topic: message.topic,
      payloadBase64: Buffer.from(message.payload).toString("base64"),
      rejectedAt: new Date(message.rejectedAtMs).toISOString(),
    };
    const name = `${String(message.rejectedAtMs).padStart(16, "0")}-${message.id}.json`;
    for (const other of await this.#names())
      if (other.endsWith(`-${message.id}.json`)) await rm(join(this.#folder, other), { force: true });
    await writeFileDurably(this.#folder, name, Buffer.from(`${JSON.stringify(stored, null, 2)}\n`));
    return { forgotten: await this.#forgetBeyondLimits() };
  }

  /** Oldest first. */
  async *list(): AsyncIterable<RejectedMessage> {
    for (const name of await this.#names()) {
      const text = await readFile(join(this.#folder, name), "utf8");
      const { id, topic, payloadBase64, rejectedAt } = JSON.parse(text) as StoredRejection;
      const payload = Buffer.from(payloadBase64, "base64");
      yield { id, topic, payload, rejectedAtMs: Date.parse(rejectedAt) };
    }
  }

  /** Idempotent. */
  async delete(id: string): Promise<void> {
    for (const name of await this.#names())
      if (name.endsWith(`-${id}.json`)) await rm(join(this.#folder, name), { force: true });
  }

  async #names(): Promise<string[]> {
    return (await readdir(this.#folder)).filter((name) => name.endsWith(".json")).sort();
  }

  async #forgetBeyondLimits(): Promise<number> {
    const newestFirst = (await this.#names()).reverse();
    let bytes = 0;
    let forgotten = 0;
    for (const [index, name] of newestFirst.entries()) {
      bytes += (await stat(join(this.#folder, name))).size;
      const isWithin = index < this.#limits.maxMessages && bytes <= this.#limits.maxBytes;
      if (isWithin || index === 0) continue;
      await rm(join(this.#folder, name), { force: true });
      forgotten += 1;
    }
    return forgotten;
  }
}
