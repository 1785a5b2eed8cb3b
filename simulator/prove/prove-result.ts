import { SimulatorError } from "../errors.ts";
import type { HostileCounts, HostileVerdict } from "./hostile/hostile-book.ts";
import { type Maintenance, missedMaintenance } from "./maintenance.ts";
import { fillsWindow } from "./proof-settings.ts";
import { dedupeWindowMs } from "./proof-topics.ts";
import type { SimulatorResult } from "./simulator-process.ts";
import { clockFaults, compactionFault, parkingFaults, tableFaults, topicFaults } from "./strike.ts";
import type { DealtStrike } from "./striker.ts";
import type { StrikeCounts, StrikeEvidence } from "./strikes/strike-evidence.ts";
import type { Crash } from "./under-test/ended-processes.ts";
import type { StatusView } from "./under-test/gateway-under-test.ts";

/** Findings of the audit: each must be 0. `docs/audit.md` says what they count. */
const findingNames = [
  "lost",
  "duplicated",
  "phantom",
  "altered",
  "misplaced",
  "misstated",
  "disordered",
  "mistimed",
  "logFaults",
] as const;
type Findings = Readonly<Record<(typeof findingNames)[number], number>>;

export interface ProveResult extends Findings {
  readonly seed: number;
  readonly rounds: number;
  readonly sent: number;
  readonly acked: number;
  readonly stored: number;
  readonly quarantined: number;
  /** Some of each finding, in words. */
  readonly examples: readonly string[];
  readonly unaccounted: number;
  /** Acknowledgements of one broker without an append: the largest number that any status reported. */
  readonly unfounded: number;
  readonly kills: StrikeCounts;
  readonly pauses: StrikeCounts;
  /** Processes that stood still until their supervisor ended them. */
  readonly hangs: StrikeCounts;
  /**
   * Strikes at servers: connections reset, silent connections, connections refused, everything deleted,
   * memory limit reached, writes refused.
   */
  readonly cuts: StrikeCounts;
  readonly silences: StrikeCounts;
  readonly downs: StrikeCounts;
  readonly flushes: StrikeCounts;
  readonly fills: StrikeCounts;
  readonly readOnlys: StrikeCounts;
  /** Of a gateway's wall clock, forward, back, and for a moment. */
  readonly clockSteps: StrikeCounts;
  /** Entries of another writer in the tables' logs. */
  readonly foreignCommits: StrikeCounts;
  /** Strikes that made a table unfit until the command of `status` was run, and compactions with a vacuum. */
  readonly parkings: StrikeCounts;
  readonly compactions: StrikeCounts;
  readonly hostilePayloads: StrikeCounts;
  readonly hostileSubscribers: StrikeCounts;
  /** Messages of hostile clients, and what became of them. */
  readonly hostile: HostileCounts;
  readonly topicChanges: StrikeCounts;
  readonly backlogs: StrikeCounts;
  readonly copies: StrikeCounts;
  /** Of the stream's shards. */
  readonly splits: StrikeCounts;
  readonly merges: StrikeCounts;
  /** How many calls to servers met each fault of `call-faults.ts`. */
  readonly calls: StrikeEvidence["calls"];
  /** How many strikes of each kind met work in flight. */
  readonly inFlight: StrikeEvidence["inFlight"];
  /** Other deeds of the fleet than publishing. */
  readonly fleet: FleetDeeds;
  /** Messages without a possible acknowledgement that no table has, although the gateway continued to run. */
  readonly undelivered: number;
  readonly maintenance: Maintenance;
  /** The least stream time that a full dedupe window in memory covered; null = none was full. */
  readonly fullWindowSpanMs: number | null;
  readonly replayedBatches: number;
  readonly duplicatesDropped: number;
  readonly publishesRepaired: number;
  readonly durationMs: number;
  /** Each strike that was dealt, in order. */
  readonly strikes: readonly DealtStrike[];
  /** Violations; empty = proved. */
  readonly faults: readonly string[];
  /** Kept if the proof failed. */
  readonly folder: string | null;
  /** The file with this result as JSON. */
  readonly file: string;
}

/** Required deeds of a fleet: each of its faults, and messages without an acknowledgement. */
const requiredDeeds = ["takeovers", "reboots", "cuts", "resent", "copies", "delivered"] as const;
/** `forgotten`: a device that starts again may have nothing unacknowledged that it could forget. */
const fleetDeeds = [...requiredDeeds, "forgotten"] as const;
export type FleetDeeds = Readonly<Record<(typeof fleetDeeds)[number], number>>;

/**
 * Of what was left with a gateway: a kill or a server that is away for long may cost a message that was never
 * acknowledged; a gateway that drops what such devices leave loses all.
 */
const undeliveredShareMax = 0.05;
const undeliveredMin = 3;

/** How everything ended. */
export interface ProofEnd {
  readonly fleet: SimulatorResult;
  readonly audit: SimulatorResult;
  /** The gateways' books after the audit; null if none answered. */
  readonly statuses: readonly (StatusView | null)[];
  /** Of the gateways, after SIGTERM; null if one had to be killed. */
  readonly exitCodes: readonly (number | null)[];
  readonly maintenance: Maintenance;
  /** Processes of the gateways that ended by themselves. */
  readonly crashes: readonly Crash[];
  readonly hostile: HostileVerdict;
  /** Of the dedupe window; null = it is not in the gateways' memory. */
  readonly window: { readonly maxBytes: number | null };
  /** Why the strikes ended early; null = they did not. */
  readonly failure: string | null;
  readonly durationMs: number;
}

/** Throws PROVE_AUDIT_FAILED if the audit gave no result. */
export function proveResult(
  run: { seed: number; rounds: number; folder: string; strikes: readonly DealtStrike[] },
  evidence: StrikeEvidence,
  end: ProofEnd,
): Omit<ProveResult, "file"> {
  if (!end.audit.json)
    throw new SimulatorError(
      "PROVE_AUDIT_FAILED",
      `The audit said nothing (exit code ${end.audit.exitCode}): see audit.log in ${run.folder}`,
      { retryable: false },
    );
  const count = (name: string) => Number(end.audit.json?.[name] ?? Number.NaN);
  const partitions = partitionsOf(end);
  const { inFlight, replayedBatches, publishesRepaired } = evidence;
  return {
    seed: run.seed,
    rounds: run.rounds,
    sent: count("sent"),
    acked: count("acked"),
    stored: count("stored"),
    quarantined: count("quarantined"),
    ...findingsOf(count),
    examples: (end.audit.json["examples"] as readonly string[] | undefined) ?? [],
    unaccounted: sum(partitions.map(({ unaccounted }) => unaccounted)),
    unfounded: evidence.unfounded,
    ...strikeCountsOf(evidence),
    hostile: countsOf(end.hostile),
    topicChanges: evidence.strikes(...topicFaults),
    backlogs: evidence.strikes("backlog"),
    copies: evidence.strikes("copy"),
    splits: evidence.strikes("split"),
    merges: evidence.strikes("merge"),
    calls: evidence.calls,
    inFlight,
    fleet: deedsOf(end.fleet),
    undelivered: count("undelivered"),
    maintenance: end.maintenance,
    fullWindowSpanMs: evidence.shortSpanMs,
    replayedBatches,
    duplicatesDropped: sum(partitions.map(({ counters }) => counters.duplicates + counters.resent)),
    publishesRepaired,
    durationMs: end.durationMs,
    strikes: run.strikes,
    faults: faultsOf(evidence, end),
    folder: run.folder,
  };
}

function faultsOf(evidence: StrikeEvidence, end: ProofEnd): string[] {
  const faults = end.failure === null ? [] : [end.failure];
  const count = (name: string) => Number(end.audit.json?.[name] ?? Number.NaN);
  for (const name of findingNames) if (count(name) !== 0) faults.push(`${name}: ${count(name)}`);
  if (!(count("acked") > 0)) faults.push("nothing was acknowledged");
  if (end.audit.exitCode !== 0) faults.push(`the audit ended with exit code ${end.audit.exitCode}`);
  if (end.fleet.exitCode !== 0) faults.push(`the fleet ended with exit code ${end.fleet.exitCode}`);
  faults.push(...fleetFaults(end));
  const partitions = partitionsOf(end);
  if (end.statuses.some((status) => !status?.consumer) || partitions.length === 0)
    faults.push("the gateway's books could not be read");
  if (evidence.unfounded > 0)
    faults.push(`at least ${evidence.unfounded} acknowledgements have no message in the stream`);
  if (end.statuses.some((status) => status?.books?.isBalanced === false))
    faults.push("the gateway's books do not balance");
  for (const { halt, unaccounted } of partitions) {
    if (halt) faults.push(`a partition stopped: ${halt.code}`);
    if (unaccounted > 0) faults.push(`${unaccounted} acknowledged messages are unaccounted for`);
  }
  for (const { role, pid, code, refusal } of end.crashes)
    faults.push(`a ${role} (${pid}) ended by itself with exit code ${code}${refusal ? ` (${refusal})` : ""}`);
  for (const exitCode of end.exitCodes)
    if (exitCode !== 0) faults.push(`the gateway stopped with exit code ${exitCode}`);
  const { maintenance, window, durationMs } = end;
  faults.push(...missedMaintenance(maintenance, { durationMs, retentionMs: dedupeWindowMs }));
  const mustFill =
    window.maxBytes !== null && fillsWindow(window.maxBytes, { messages: count("acked"), durationMs });
  if (mustFill && evidence.shortSpanMs === null) faults.push("no dedupe window was ever full");
  faults.push(...end.hostile.faults);
  return [...faults, ...evidence.harms, ...evidence.missed.map((kind) => `no ${kind} struck work in flight`)];
}

/** The strikes at processes, servers, clocks, tables and by hostile clients. */
function strikeCountsOf(evidence: StrikeEvidence) {
  return {
    kills: evidence.strikes("kill"),
    pauses: evidence.strikes("pause"),
    hangs: evidence.strikes("hang"),
    cuts: evidence.strikes("cut"),
    silences: evidence.strikes("silence"),
    downs: evidence.strikes("down"),
    flushes: evidence.strikes("flush"),
    fills: evidence.strikes("full"),
    readOnlys: evidence.strikes("read-only"),
    clockSteps: evidence.strikes(...clockFaults),
    foreignCommits: evidence.strikes(...tableFaults),
    parkings: evidence.strikes(...parkingFaults),
    compactions: evidence.strikes(compactionFault),
    hostilePayloads: evidence.strikes("hostile-payload"),
    hostileSubscribers: evidence.strikes("hostile-subscriber"),
  };
}

function countsOf({ faults: _, ...counts }: HostileVerdict): HostileCounts {
  return counts;
}

function findingsOf(count: (name: string) => number): Findings {
  return Object.fromEntries(findingNames.map((name) => [name, count(name)])) as unknown as Findings;
}

function deedsOf({ json }: SimulatorResult): FleetDeeds {
  const deeds = fleetDeeds.map((name) => [name, Number(json?.[name] ?? Number.NaN)] as const);
  return Object.fromEntries(deeds) as unknown as FleetDeeds;
}

function fleetFaults({ fleet, audit }: ProofEnd): string[] {
  const deeds = deedsOf(fleet);
  const faults = requiredDeeds.filter((name) => !(deeds[name] > 0)).map((name) => `the fleet had no ${name}`);
  if (!(Number(audit.json?.["plannedReuse"]) > 0)) faults.push("no id was used again");
  const [delivered, undelivered] = [Number(audit.json?.["delivered"]), Number(audit.json?.["undelivered"])];
  if (!(undelivered <= Math.max(undeliveredMin, delivered * undeliveredShareMax)))
    faults.push(`${undelivered} of ${delivered} messages that were left with a gateway are nowhere`);
  return faults;
}

/** Of all gateways: each shows those that are its own. */
function partitionsOf({ statuses }: ProofEnd) {
  return statuses.flatMap((status) => status?.consumer?.partitions ?? []);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
