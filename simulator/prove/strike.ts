import { type CallFaultName, callFaultNames } from "./call-fault-names.ts";

/**
 * The targets of a proof. The first are the processes of a gateway, and the servers that it uses if the proof
 * has started them. The others are parts of the system: the clock of a gateway, the consumers of all
 * gateways, the tables of the lake, topics, and the data folder of a gateway. `clients` are hostile clients
 * of the proof that strike a gateway from outside.
 */
export const processTargets = ["broker", "consumer", "supervisor", "upkeep"] as const;
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
 * Faults of processes and servers:
 * - `kill`: SIGKILL.
 * - `pause`: SIGSTOP, and SIGCONT after long enough for others to take over.
 * - `hang` (children of a supervisor): SIGSTOP, until the supervisor ends the process and starts another one.
 *
 * Faults of servers:
 * - `cut`: all connections are reset.
 * - `silence`: connections stay open, and nothing passes for a while.
 * - `down`: connections are refused for a while.
 * - `flush`: everything in the server is deleted.
 * - `full`: the server is at its memory limit for a while.
 * - `read-only`: the server refuses changes for a while.
 * - `split`, `merge`: the shards of the stream are divided again.
 *
 * In addition, `call-fault-names.ts` names faults that some calls meet for a while.
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

/** Faults of a gateway's wall clock: set ahead or back until the next step, or far off for a moment. */
export const clockFaults = ["step-forward", "step-back", "spike"] as const;
/**
 * Entries of another writer in the log of a table: own rows, other metadata, files replaced by files with the
 * same rows.
 */
export const tableFaults = ["foreign-append", "foreign-metadata", "foreign-rewrite"] as const;
/** Such entries that make a table unfit for the gateways' rows until the command of `status` was run. */
export const parkingFaults = ["foreign-constraint", "foreign-widening"] as const;
export const compactionFault = "foreign-compaction";
/**
 * Faults by hostile clients: messages that no gateway can want, and packets that ask for too much, are
 * malformed, or are never read.
 */
export const clientFaults = ["hostile-payload", "hostile-subscriber"] as const;
/** Through the HTTP API: a topic that takes names from another, another version of a topic, its end. */
export const topicFaults = ["create", "change", "delete"] as const;

/**
 * Faults of parts: those above, and two more.
 * - `backlog`: all consumers are stopped until messages of several minutes wait in the stream.
 * - `copy`: a copy of the data folder of a running gateway is started beside it.
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
  /** The number of the gateway, for a part of one. */
  readonly gateway: number;
  /** True: the blow falls right after a commit, before the tables show it. */
  readonly isAtCommit: boolean;
  /** Wait since the round began, so that strikes fall on different moments of batches and commits. */
  readonly delayMs: number;
  /** For a fault that lasts: how long. */
  readonly pauseMs: number;
  /**
   * For a killed supervisor: a child that is paused meanwhile, and must not continue beside its successor.
   */
  readonly orphan: Exclude<ProcessTarget, "supervisor"> | null;
  /** For a killed supervisor or server: how long nobody starts a new one. */
  readonly absenceMs: number;
  /** In [0, 1): for a fault that comes in several sizes. */
  readonly amount: number;
}

/**
 * The effect of a strike, if its target can tell. Otherwise the status of the gateways just before the strike
 * says whether work was in flight.
 */
export interface StrikeEffect {
  /** Calls to a server that were struck: each was in flight. */
  readonly calls?: number;
  /** True: it met work in flight. */
  readonly isInFlight?: boolean;
  /** For people: how far, which table, which topic. */
  readonly detail?: string;
  /** A forbidden reaction of the gateways: it fails the proof. */
  readonly harm?: string;
}

/** PORT: what can be struck, other than by a signal to one process. */
export interface Strikable {
  /** Resolves when the fault is over, or lasts by itself, with what it met. */
  strike(strike: Strike): Promise<StrikeEffect | null>;
}
