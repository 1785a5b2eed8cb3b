import { epochBytes, sequenceSpan } from "../../../devices/protocol/message-id.ts";
import type { Position } from "../../streams/stream-log.ts";

/** Bytes of a dedupe key: 96 bits of SHA-256(topic id, device id, message id). */
export const dedupKeyBytes = 12;

/** Epochs that the exact mode keeps per device: those with the newest messages. */
export const exactEpochsMax = 8;
/** The window distinguishes the sequences (H − span, H] of an epoch; H is its highest one. */
export const exactSpan = sequenceSpan;

/**
 * Ids of the SDK as columns, for the exact mode.
 *
 * Per device and epoch, the window keeps the highest sequence H, and a bit for each sequence in (H −
 * exactSpan, H], without a time limit. A sequence is known if its bit is set, or if it is not above H −
 * exactSpan. The SDK sends H only after all of those were acknowledged. Of each device, only the
 * exactEpochsMax newest epochs are kept, so a device with invented epochs takes no more room than others.
 * The order of adding does not matter.
 */
export interface ExactIds {
  readonly length: number;
  /** `length` × 12 bytes: 96 bits of SHA-256(topic id, device id). */
  readonly deviceKeys: Uint8Array;
  /** `length` × 8 bytes. */
  readonly epochs: Uint8Array;
  /** 0 to 2^48 − 1. */
  readonly sequences: Float64Array;
  /** Stream time of the message, in whole seconds since the epoch. */
  readonly seenAtSeconds: Uint32Array;
}

export const exactEpochBytes = epochBytes;

/** Ids as columns: a million ids need only a few allocations. */
export interface WindowEntries {
  readonly length: number;
  /** `length` × 12 bytes. */
  readonly keys: Uint8Array;
  /** Hash of the content to file. A known id with another hash was reused; it is not a resend. */
  readonly contentHashes: Uint32Array;
  /**
   * Stream time at which the id may be forgotten, in whole seconds since the epoch: the message's stream time
   * plus the topic's window, rounded up.
   */
  readonly expiresAtSeconds: Uint32Array;
  /** Stream time of the message, in whole seconds, rounded down. */
  readonly filedAtSeconds: Uint32Array;
  /** 16 bits of a hash of the device id. They tell which devices' ids take how much room. */
  readonly devices: Uint16Array;
  /**
   * Ids of topics with exact deduplication. Their keys are also in `keys`, for as long as the topic's window
   * lasts.
   */
  readonly exact?: ExactIds;
}

/** One answer per key. `expiresAtSeconds` 0 = the id is unknown. */
export interface WindowHits {
  readonly contentHashes: Uint32Array;
  readonly expiresAtSeconds: Uint32Array;
  /** One answer per exact id: 1 = known. */
  readonly known: Uint8Array;
}

export interface WindowStatus {
  readonly ids: number;
  /** Epochs of devices in exact mode. */
  readonly epochs: number;
  readonly bytes: number;
  /** Whether the window lacks ids that it had to forget early. If so, G3 holds for `spanMs` only. */
  readonly isShort: boolean;
  /**
   * Span of stream time before the newest id in which all filed ids are known. Equals the longest dedupe
   * window unless the window is short. 0 = no span: even ids of the newest second had no room.
   */
  readonly spanMs: number;
  /**
   * Devices (by their number in the entries) whose ids were forgotten early because they sent many more than
   * others. `isShort` and `spanMs` do not cover them.
   */
  readonly devicesOverShare: readonly number[];
}

/**
 * PORT: the ids of committed messages, per partition, of one (lake, stream). The window is a view of the lake
 * and can always be rebuilt.
 *
 * `applied` is the committed position up to which the window holds all ids. Every read and write checks it in
 * the same atomic step. So a rolled-back, replaced or foreign window, or a paused former owner, is always
 * detected:
 * - `lookup` answers null unless `applied` equals the given position.
 * - `apply` adds the ids of a commit and moves `applied` from `from` to `to`. It answers false, and leaves
 *   `applied`, unless `applied` was `from`.
 * - Seeding clears the partition and writes a random token. A chunk is refused (false) unless the token is
 *   the same and exactly the chunks before it are in. The end is refused unless all chunks are in: a window
 *   that was rolled back during its seeding has the token but lacks chunks. A partition that was never
 *   applied, or is being seeded, has `applied` null.
 *
 * An apply, chunk or look-up of many ids may take several atomic steps, each with the check above. The steps
 * of an apply or a chunk are counted under a token of the call. The last step requires all before it, and
 * only this step moves `applied` or counts the chunk. If the window is rolled back between two steps, or
 * another apply intervenes, the call ends with false.
 *
 * If an apply ends early, the window is at `from` with some ids of the next commit. Look-ups at `from` are
 * then refused, and applying the same commit again adds the rest. Owners that decided at `from` before cannot
 * commit any more, because `apply` may be called only after its commit is in the commit log. If the lake
 * lacks that commit, an older copy has replaced the lake: `applied`, given the lake's position, answers null,
 * and the window is seeded.
 *
 * Ids are forgotten by stream time only (`streamTimeMs` of apply and endSeed), never by wall clock or TTL.
 * They are forgotten before they expire only if the memory bound forces it; `status().isShort` shows that.
 * Expired ids may be found for a while, so callers compare `expiresAtSeconds` with the message's own stream
 * time. A window that must not forget and has no room throws a retryable error. Exact ids follow the same
 * rules, but are not forgotten by time.
 *
 * `forget` drops a partition that was read to its end; idempotent.
 */
export interface DedupWindow {
  /** @param committed The position in the lake. */
  applied(partition: number, committed: Position): Promise<Position | null>;
  /** `seenAtSeconds` of `exact` is ignored. */
  lookup(
    partition: number,
    applied: Position,
    keys: Uint8Array,
    exact?: ExactIds,
  ): Promise<WindowHits | null>;
  apply(
    partition: number,
    step: { from: Position; to: Position; streamTimeMs: number },
    entries: WindowEntries,
  ): Promise<boolean>;
  beginSeed(partition: number, token: string): Promise<void>;
  /** `chunk` counts 0, 1, 2, … */
  seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean>;
  endSeed(
    partition: number,
    token: string,
    end: { chunks: number; applied: Position; streamTimeMs: number },
  ): Promise<boolean>;
  forget(partition: number): Promise<void>;
  /**
   * The partition is idle at `nowMs`: everything that was appended to it is filed. The clock never steps back.
   * If a later call follows without ids in between, the next message is newer by at least the time between.
   * So a window that is short of room may count the ids as older.
   * Absent: the window does not forget for lack of room.
   */
  idle?(partition: number, nowMs: number): void;
  /**
   * All partitions of the (lake, stream) that this window can see. The cost does not depend on their size.
   */
  status(): Promise<WindowStatus>;
  close(): Promise<void>;
}
