import { EPOCH_BYTES, SEQUENCE_SPAN } from "../../devices/protocol/message-id.ts";
import type { Position } from "../streams/stream-log.ts";

/** Bytes of a dedupe key: 96 bits of SHA-256(topic id, device id, message id). */
export const DEDUP_KEY_BYTES = 12;

/** Epochs that the exact mode keeps per device: those seen last. */
export const EXACT_EPOCHS_MAX = 8;
/** Sequences (H − span, H] of an epoch are told apart, H being its highest one. */
export const EXACT_SPAN = SEQUENCE_SPAN;

/**
 * Ids of the SDK, as columns, for the exact mode. Per device and epoch the window keeps the highest sequence H and a bit for each
 * sequence in (H − EXACT_SPAN, H], without any limit of time. A sequence is known if its bit is set, or at or below H − EXACT_SPAN: the
 * SDK sent H only once all of those were acknowledged. Of each device the EXACT_EPOCHS_MAX epochs seen last are kept, so a device that
 * makes up epochs takes no more room than another. The order of adding makes no difference to an epoch.
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

export const EXACT_EPOCH_BYTES = EPOCH_BYTES;

/** Ids as columns, so that a million of them are three allocations. */
export interface WindowEntries {
  readonly length: number;
  /** `length` × 12 bytes. */
  readonly keys: Uint8Array;
  /** Of what would be filed: the same id with another hash is an id that was used again, not a resend. */
  readonly contentHashes: Uint32Array;
  /** Stream time, in whole seconds since the epoch, at which the id may be forgotten (message's stream time + the topic's window, rounded up). */
  readonly expiresAtSeconds: Uint32Array;
  /** Stream time of the message, in whole seconds, rounded down. */
  readonly filedAtSeconds: Uint32Array;
  /** 16 bits of a hash of the device id, which say whose ids take how much room. */
  readonly devices: Uint16Array;
  /** Those of topics with exact deduplication. Their keys stand above as well, for the time that the topic's window lasts. */
  readonly exact?: ExactIds;
}

/** One answer per asked key; `expiresAtSeconds` 0 = the id is unknown. */
export interface WindowHits {
  readonly contentHashes: Uint32Array;
  readonly expiresAtSeconds: Uint32Array;
  /** 1 = known, one answer per exact id that was asked for. */
  readonly known: Uint8Array;
}

export interface WindowStatus {
  readonly ids: number;
  /** Epochs of devices in exact mode. */
  readonly epochs: number;
  readonly bytes: number;
  /** True while the window lacks ids that it had to forget before their time; G3 then holds for `spanMs`. */
  readonly isShort: boolean;
  /**
   * What was filed within so much stream time before the newest id is known; the longest dedupe window if the window is not short. 0 = no
   * id is sure to be known: not even all of the newest second had room.
   */
  readonly spanMs: number;
  /**
   * Devices, as the entries name them, that had ids forgotten before their time since they sent many more than others. For these neither
   * `isShort` nor `spanMs` speaks.
   */
  readonly devicesOverShare: readonly number[];
}

/**
 * PORT: the ids of committed messages, per partition, of one (lake, stream). A view of the lake that can always be rebuilt.
 *
 * `applied` = the committed position up to which the window holds all ids. Every read and write is conditional on it, in one atomic
 * step, so that a rolled-back, replaced or foreign window, or a paused former owner, is always noticed:
 * - `lookup` answers null unless `applied` equals the given position;
 * - `apply` adds the ids of a commit and moves `applied` from `from` to `to`; false (`applied` has not moved) unless it still was `from`;
 * - seeding clears the partition and writes a random token; a chunk is refused (false) unless that token still stands and exactly the
 *   chunks before it are in, the end unless all are: a window that was rolled back amid its seeding holds the token but lacks chunks.
 * A partition never applied, or under seeding, has `applied` null.
 *
 * An apply, chunk or look-up of many ids may be several atomic steps. Each is conditional as above. Those of an apply or a chunk are
 * counted under a token of the call, the last one requires all before it, and only the last one moves `applied` or counts the chunk: a
 * window rolled back between two of them, or another apply, ends the call (false). Where it ends early, the window is at `from` with
 * some ids of the commit after it: look-ups at `from` are refused, and applying that commit again adds the rest. Owners that decided at
 * `from` before can't commit any more, since `apply` may only be called once its commit is in the commit log. A lake that lacks it
 * was replaced by an older copy: `applied`, told so, answers null, and the window is seeded.
 *
 * Ids are forgotten by stream time only (`streamTimeMs` of apply/endSeed), never by wall clock or TTL, and never before they expire
 * unless the memory bound forces it, which `status().isShort` then shows. Expired ids may be found for a while: callers compare
 * `expiresAtSeconds` with the message's own stream time. A window that may not forget and has no room throws a retryable error.
 * Exact ids are under the same conditions, and are not forgotten by time.
 *
 * `forget` drops a partition that was read to its end and takes no more; idempotent.
 */
export interface DedupWindow {
  /** @param committed The position that the lake has. */
  applied(partition: number, committed: Position): Promise<Position | null>;
  /** `exact`: its `seenAtSeconds` do not matter. */
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
  /** `chunk` = 0, 1, 2, … */
  seed(partition: number, token: string, chunk: number, entries: WindowEntries): Promise<boolean>;
  endSeed(
    partition: number,
    token: string,
    end: { chunks: number; applied: Position; streamTimeMs: number },
  ): Promise<boolean>;
  forget(partition: number): Promise<void>;
  /** All partitions of the (lake, stream) that this window can see; cheap whatever their size. */
  status(): Promise<WindowStatus>;
  close(): Promise<void>;
}
