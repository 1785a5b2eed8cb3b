import type { Shard as ListedShard } from "@aws-sdk/client-kinesis";
import { BridgeError } from "../../errors.ts";
import type { RangePartition } from "../partition-map.ts";
import type { Position } from "../stream-log.ts";
import { isSequenceNumber } from "./sequence-number.ts";

/** A shard as a partition. The number of the partition is the shard's. */
export interface Shard extends RangePartition {
  readonly shardId: string;
  /** First and last hash key of the shard, both included. */
  readonly firstHashKey: bigint;
  readonly lastHashKey: bigint;
  /** Lower bound of the shard's sequence numbers. */
  readonly firstPosition: Position;
}

/** Hash keys have 128 bits, device hashes 32. The hash key of a device is its hash × 2^96. */
const deviceHashShift = 96n;
const lastHashKey = 2n ** 128n - 1n;
/** Block headers have 16 bits for the partition. */
const numberMax = 65_535;

/**
 * @throws BridgeError KINESIS_UNSUPPORTED if a shard's number is too high, KINESIS_UNAVAILABLE if the list
 * is inconsistent.
 */
export function shardsOf(listed: readonly ListedShard[]): Shard[] {
  const drafts = listed.map(draftOf);
  // A parent of another shard is closed, even if its own entry does not say so in this answer.
  const parents = new Set(drafts.flatMap(({ parents }) => parents));
  const shards = drafts
    .map((shard) => ({ ...shard, isOpen: shard.isOpen && !parents.has(shard.partition) }))
    .toSorted((left, right) => left.partition - right.partition);
  checkCover(shards);
  return shards;
}

/** The number in `shardId-000000000012`. */
export function shardNumberOf(shardId: string | undefined): number {
  const [, digits] = /^shardId-(\d{12})$/.exec(shardId ?? "") ?? [];
  if (digits === undefined) throw nonsense(`${shardId} is not the name of a shard`);
  const number = Number(digits);
  if (number <= numberMax) return number;
  const text = `the stream has had ${number} shards, and Tidegate supports at most ${numberMax + 1}: create another stream, and continue in it with \`tidegate stream new\``;
  throw new BridgeError("KINESIS_UNSUPPORTED", text, { retryable: false, details: { shardId } });
}

export function shardIdOf(partition: number): string {
  return `shardId-${String(partition).padStart(12, "0")}`;
}

function draftOf(listed: ListedShard): Shard {
  const { ShardId, ParentShardId, AdjacentParentShardId, HashKeyRange, SequenceNumberRange } = listed;
  const partition = shardNumberOf(ShardId);
  const first = hashKeyOf(HashKeyRange?.StartingHashKey);
  const last = hashKeyOf(HashKeyRange?.EndingHashKey);
  const firstPosition = SequenceNumberRange?.StartingSequenceNumber;
  if (!isSequenceNumber(firstPosition)) throw nonsense(`${ShardId} starts at ${firstPosition}`);
  return {
    partition,
    shardId: ShardId ?? "",
    parents: [ParentShardId, AdjacentParentShardId]
      .filter((parent) => parent !== undefined && parent !== null)
      .map(shardNumberOf),
    isOpen: (SequenceNumberRange?.EndingSequenceNumber ?? null) === null,
    firstHashKey: first,
    lastHashKey: last,
    firstHash: Number((first + (1n << deviceHashShift) - 1n) >> deviceHashShift),
    lastHash: Number(last >> deviceHashShift),
    firstPosition,
  };
}

function hashKeyOf(text: string | undefined): bigint {
  if (!/^\d{1,39}$/.test(text ?? "")) throw nonsense(`a hash key is ${text}`);
  return BigInt(text ?? "");
}

/**
 * Checks that the open shards cover all hash keys without overlap. During a reshard, an answer may be
 * inconsistent.
 */
function checkCover(shards: readonly Shard[]): void {
  let next = 0n;
  const open = shards.filter(({ isOpen }) => isOpen);
  const byKey = open.toSorted((left, right) => (left.firstHashKey < right.firstHashKey ? -1 : 1));
  for (const { firstHashKey: first, lastHashKey: last, shardId } of byKey) {
    if (first !== next || last < first)
      throw nonsense(`no shard, or more than one, has the keys before ${shardId}`);
    next = last + 1n;
  }
  if (next !== lastHashKey + 1n) throw nonsense("no shard has the last keys");
}

function nonsense(what: string): BridgeError {
  return new BridgeError("KINESIS_UNAVAILABLE", `the list of shards is inconsistent: ${what}`, {
    retryable: true,
  });
}
