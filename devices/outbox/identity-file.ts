import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DeviceError } from "../errors.ts";
import { epochBytes } from "../protocol/message-id.ts";
import { writeFileDurably } from "./durable-file.ts";

const fileName = "identity.json";
const format = 1;

/** Sequences reserved per write of the file. A process that was killed skips the unused ones. */
const reserveSequences = 65_536;

interface StoredIdentity {
  readonly format: number;
  /** Hexadecimal. */
  readonly epoch: string;
  /** No sequence from this one on was ever given out. */
  readonly nextSequence: number;
}

/**
 * Epoch and sequence, kept apart from the messages. A sequence that another party may have seen is never
 * given out again, even if messages are torn, lost or deleted. Sequences are therefore reserved on disk
 * before use. If the file itself is lost or damaged, a new random epoch begins.
 */
export class IdentityFile {
  readonly epoch: Uint8Array;
  readonly #folder: string;
  #nextSequence: number;
  #reservedUpTo: number;

  private constructor(folder: string, epoch: Uint8Array, nextSequence: number) {
    this.#folder = folder;
    this.epoch = epoch;
    this.#nextSequence = nextSequence;
    this.#reservedUpTo = nextSequence;
  }

  /** @param atLeast Sequences below this one are in the outbox already. */
  static async open(
    folder: string,
    options: { atLeast: number; randomBytes: (length: number) => Uint8Array },
  ): Promise<IdentityFile> {
    const stored = await readStored(folder);
    const epoch = stored ? Buffer.from(stored.epoch, "hex") : options.randomBytes(epochBytes);
    const next = Math.max(stored?.nextSequence ?? 1, options.atLeast);
    const identity = new IdentityFile(folder, Uint8Array.from(epoch), next);
    await identity.reserve(next);
    return identity;
  }

  /** The sequence that the next message gets. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Uses up the next sequence. The sequence must stay unseen until `reserve` has resolved for it. */
  takeSequence(): void {
    this.#nextSequence += 1;
  }

  /** Resolves when no later process will give out `sequence` or a lower one. */
  async reserve(sequence: number): Promise<void> {
    if (sequence < this.#reservedUpTo) return;
    const upTo = sequence + reserveSequences;
    await this.#store(upTo);
    this.#reservedUpTo = upTo;
  }

  /** Gives back sequences that were reserved and not used. */
  async close(): Promise<void> {
    await this.#store(this.#nextSequence);
  }

  async #store(nextSequence: number): Promise<void> {
    const stored: StoredIdentity = { format, epoch: Buffer.from(this.epoch).toString("hex"), nextSequence };
    await writeFileDurably(this.#folder, fileName, Buffer.from(`${JSON.stringify(stored)}\n`));
  }
}

async function readStored(folder: string): Promise<StoredIdentity | null> {
  const text = await readFile(join(folder, fileName), "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  return text === null ? null : parseStored(text);
}

function parseStored(text: string): StoredIdentity | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof value !== "object" || value === null) return null;
  const { format: found, epoch, nextSequence } = value as Partial<StoredIdentity>;
  if (typeof found === "number" && found > format)
    throw new DeviceError(
      "OUTBOX_OPEN_FAILED",
      `${fileName} has format ${found}, newer than ${format}: update the SDK`,
      {
        retryable: false,
      },
    );
  const isEpoch = typeof epoch === "string" && new RegExp(`^[0-9a-f]{${epochBytes * 2}}$`).test(epoch);
  if (!isEpoch || !Number.isSafeInteger(nextSequence)) return null;
  return { format, epoch, nextSequence: nextSequence as number };
}
