import { type CallFaultName, callFaultNames } from "./call-faults.ts";

/**
 * What a proof strikes: the processes of a gateway, the servers that it uses if the proof has started them itself, and parts of the
 * system that are neither: the clock of a gateway, the consumers of all gateways, the lake's tables, topics, a gateway's data folder.
 * `clients` strike a gateway from outside: hostile ones of the proof's own.
 */
export const processTargets = ["broker", "consumer", "supervisor"] as const;
export const serverTargets = ["stream-server", "window-server", "lake-server"] as const;
export const partTargets = ["clock", "consumers", "tables", "topics", "data-folder", "clients"] as const;
export type ProcessTarget = (typeof processTargets)[number];
export type ServerTarget = (typeof serverTargets)[number];
export type PartTarget = (typeof partTargets)[number];
export type Target = ProcessTarget | ServerTarget | PartTarget;
export const targets: readonly Target[] = [...processTargets, ...serverTargets, ...partTargets];

export type ServerKind = "redis" | "kinesalite" | "radosgw";
/** The proof's own servers, by what the gateways use them for. */
export type ServerKinds = Readonly<Partial<Record<ServerTarget, ServerKind>>>;

/**
 * `kill` = SIGKILL; `pause` = SIGSTOP, then SIGCONT after a while (long enough for others to take over where they would).
 * Of a broker or consumer also: `hang` = SIGSTOP, until its supervisor ends it and starts another one.
 * Of servers also: `cut` = all connections are reset; `silence` = they stay open, and nothing passes for a while; `down` = connections
 * are refused for a while; `flush` = everything in the server is deleted; `full` = the server is at its memory limit for a while;
 * `read-only` = it refuses whatever would change it for a while; `split` and `merge` = the stream's shards are divided anew;
 * and for a while some calls meet what `call-faults.ts` names.
 */
const serverFaults = [
  "kill",
  "pause",
  "hang",
  "cut",
  "silence",
  "down",
  "flush",
  "full",
  "read-only",
  "split",
  "merge",
] as const;

/** Of a gateway's wall clock: set ahead, set back, both until the next step; far off for a moment, then right again. */
export const clockFaults = ["step-forward", "step-back", "spike"] as const;
/** Entries of another writer in the log of a table: rows of its own, other metadata, files replaced by files of the same rows. */
export const tableFaults = ["foreign-append", "foreign-metadata", "foreign-rewrite"] as const;
/** The same, so that the gateways' rows fit no more, until the way out that `status` names was taken; or files that a vacuum then deletes. */
export const parkingFaults = ["foreign-constraint", "foreign-widening"] as const;
export const compactionFault = "foreign-compaction";
/** Of hostile clients: messages that no gateway can want, and packets that ask for too much, are malformed, or are never read. */
export const clientFaults = ["hostile-payload", "hostile-subscriber"] as const;
/** Through the HTTP API: a topic that takes names from another, another version of a topic, its end. */
export const topicFaults = ["create", "change", "delete"] as const;

/**
 * Of parts: see above, and `backlog` = all consumers stand still until minutes of messages wait in the stream; `copy` = a copy of the
 * data folder, made while the gateway runs, is started beside it.
 */
const partFaults = [
  ...clockFaults,
  ...tableFaults,
  ...parkingFaults,
  compactionFault,
  ...topicFaults,
  ...clientFaults,
  "backlog",
  "copy",
] as const;

export const faults = [...serverFaults, ...partFaults, ...callFaultNames] as const;
export type Fault = (typeof faults)[number];

export function isCallFault(fault: Fault): fault is CallFaultName {
  return (callFaultNames as readonly Fault[]).includes(fault);
}

export function isProcessTarget(target: Target): target is ProcessTarget {
  return (processTargets as readonly Target[]).includes(target);
}

export function isServerTarget(target: Target): target is ServerTarget {
  return (serverTargets as readonly Target[]).includes(target);
}

/** One kind of strike. */
export interface Blow {
  readonly fault: Fault;
  readonly target: Target;
}

export interface Strike extends Blow {
  /** From 1. */
  readonly round: number;
  /** Which of the gateways, for a part of one. */
  readonly gateway: number;
  /** True: the blow falls right after a commit, before the tables show it. */
  readonly isAtCommit: boolean;
  /** Wait since the round began, so that strikes fall on different moments of batches and commits. */
  readonly delayMs: number;
  /** For a fault that lasts: how long. */
  readonly pauseMs: number;
  /** For a killed supervisor: a child that stands still meanwhile, and must not go on beside its successor. */
  readonly orphan: "broker" | "consumer" | null;
  /** For a killed supervisor or server: how long nobody starts a new one. */
  readonly absenceMs: number;
  /** In [0, 1): for a fault that comes in several sizes. */
  readonly amount: number;
}

/** What a strike met, where what was struck can tell; else the gateways' status just before says whether it met work in flight. */
export interface StrikeEffect {
  /** Calls to a server that were struck: each was in flight. */
  readonly calls?: number;
  /** True: it met work in flight. */
  readonly isInFlight?: boolean;
  /** For people: how far, which table, which topic. */
  readonly detail?: string;
  /** What the gateways must not do in answer to it and did: it fails the proof. */
  readonly harm?: string;
}

/** PORT: what can be struck, other than by a signal to one process. */
export interface Strikable {
  /** Resolves when the fault is over, or lasts by itself, with what it met. */
  strike(strike: Strike): Promise<StrikeEffect | null>;
}
