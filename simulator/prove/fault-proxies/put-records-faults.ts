import type { HttpCall, HttpFault, Unharmed } from "./http-fault.ts";
import { jsonAnswer, jsonOf } from "./kinesis-faults.ts";

/** One entry of a PutRecords call. */
export interface PutEntry {
  /** Base64. */
  readonly Data: string;
  readonly PartitionKey: string;
  readonly ExplicitHashKey?: string;
}

export type EntryErrorCode = "ProvisionedThroughputExceededException" | "InternalFailure";

/** Selects the entries of a call that fail. */
export type EntryPick = (index: number, entry: PutEntry, call: HttpCall) => boolean;

interface EntryResult {
  readonly SequenceNumber?: string;
  readonly ShardId?: string;
  /** kinesis-local sends null if there is none. */
  readonly ErrorCode?: string | null;
  readonly ErrorMessage?: string;
}

/** Each entry on its own, with the proxy's random numbers. */
export function byChance(chance: number): EntryPick {
  return (_index, _entry, call) => call.random() < chance;
}

/** Those at these places in the call. */
export function atIndexes(...indexes: readonly number[]): EntryPick {
  return (index) => indexes.includes(index);
}

/** Those whose hash key, as the producer set it, is in this range; both ends included. */
export function withHashKeys(first: bigint, last: bigint): EntryPick {
  return (_index, { ExplicitHashKey }) =>
    ExplicitHashKey !== undefined && BigInt(ExplicitHashKey) >= first && BigInt(ExplicitHashKey) <= last;
}

/** The picked entries fail and are not stored; the others are stored. */
export function failEntries(pick: EntryPick, code: EntryErrorCode): HttpFault {
  return {
    name: "failEntries",
    strike: async (call) => {
      const picked = pickOf(call, pick);
      if (picked.count === 0) return null;
      const kept = picked.entries.filter((_entry, index) => !picked.isPicked[index]);
      const results = kept.length === 0 ? [] : await put(call, picked.request, kept);
      if (!Array.isArray(results)) return results;
      call.count("entriesFailed", picked.count);
      let next = 0;
      return answerOf(picked.isPicked.map((isFailed) => (isFailed ? failed(code) : (results[next++] ?? {}))));
    },
  };
}

/**
 * All entries are stored, but the picked ones are reported as failed. If they are put again, they are stored
 * twice.
 */
export function misreportEntries(pick: EntryPick, code: EntryErrorCode): HttpFault {
  return {
    name: "misreportEntries",
    strike: async (call) => {
      const picked = pickOf(call, pick);
      if (picked.count === 0) return null;
      const results = await put(call, picked.request, picked.entries);
      if (!Array.isArray(results)) return results;
      call.count("entriesMisreported", picked.count);
      return answerOf(results.map((result, index) => (picked.isPicked[index] ? failed(code) : result)));
    },
  };
}

/** Data that no reader takes for a record of ours. */
const nothing = Buffer.from("nothing").toString("base64");

/** The picked entries are not stored, but reported as stored. An empty record takes the place of each. */
export function swallowEntries(pick: EntryPick): HttpFault {
  return {
    name: "swallowEntries",
    strike: async (call) => {
      const picked = pickOf(call, pick);
      if (picked.count === 0) return null;
      const entries = picked.entries.map((entry, index) =>
        picked.isPicked[index] ? { ...entry, Data: nothing } : entry,
      );
      const results = await put(call, picked.request, entries);
      if (!Array.isArray(results)) return results;
      call.count("entriesSwallowed", picked.count);
      return answerOf(results);
    },
  };
}

/**
 * The picked entries land in the shard of another hash key, as if a reshard overtook the shard map of the
 * producer.
 */
export function misrouteEntries(pick: EntryPick, hashKey: (entry: PutEntry) => bigint): HttpFault {
  return {
    name: "misrouteEntries",
    strike: async (call) => {
      const picked = pickOf(call, pick);
      if (picked.count === 0) return null;
      const entries = picked.entries.map((entry, index) =>
        picked.isPicked[index] ? { ...entry, ExplicitHashKey: String(hashKey(entry)) } : entry,
      );
      const results = await put(call, picked.request, entries);
      if (!Array.isArray(results)) return results;
      call.count("entriesMisrouted", picked.count);
      return answerOf(results);
    },
  };
}

function pickOf(call: HttpCall, pick: EntryPick) {
  const request = jsonOf(call.request.body);
  const entries = (request["Records"] ?? []) as PutEntry[];
  const isPicked = entries.map((entry, index) => pick(index, entry, call));
  return { request, entries, isPicked, count: isPicked.filter(Boolean).length };
}

/** The call may fail as a whole. */
async function put(
  call: HttpCall,
  request: Record<string, unknown>,
  entries: readonly PutEntry[],
): Promise<EntryResult[] | Unharmed> {
  const answer = await call.forward(Buffer.from(JSON.stringify({ ...request, Records: entries })));
  return answer.status === 200 ? (jsonOf(answer.body)["Records"] as EntryResult[]) : { unharmed: answer };
}

function failed(code: EntryErrorCode): EntryResult {
  const message =
    code === "InternalFailure"
      ? "Internal service failure."
      : "Rate exceeded for shard in stream under account.";
  return { ErrorCode: code, ErrorMessage: message };
}

function answerOf(results: readonly EntryResult[]) {
  const FailedRecordCount = results.filter(({ ErrorCode }) => typeof ErrorCode === "string").length;
  return jsonAnswer(200, { FailedRecordCount, Records: results });
}
