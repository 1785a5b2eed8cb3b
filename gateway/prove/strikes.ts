import { type CallFaultName, callFaultNames, kinesisCallFaults, s3CallFaults } from "./call-faults.ts";

/** What a proof strikes: the processes of a gateway, and the servers that it uses where the proof has started them itself. */
export const processTargets = ["broker", "consumer", "supervisor"] as const;
export const serverTargets = ["stream-server", "window-server", "lake-server"] as const;
export type ProcessTarget = (typeof processTargets)[number];
export type ServerTarget = (typeof serverTargets)[number];
export type Target = ProcessTarget | ServerTarget;

export type ServerKind = "redis" | "kinesalite" | "radosgw";
/** The proof's own servers, by what the gateways use them for. */
export type ServerKinds = Readonly<Partial<Record<ServerTarget, ServerKind>>>;

/**
 * `kill` = SIGKILL; `pause` = SIGSTOP, then SIGCONT after a while (long enough for others to take over where they would).
 * Of servers also: `cut` = all connections are reset; `silence` = they stay open, and nothing passes for a while; `down` = connections
 * are refused for a while; `flush` = everything in the server is deleted; `full` = the server is at its memory limit for a while;
 * `read-only` = it refuses whatever would change it for a while; `split` and `merge` = the stream's shards are divided anew;
 * and for a while some calls meet what `call-faults.ts` names.
 */
export const faults = [
  "kill",
  "pause",
  "cut",
  "silence",
  "down",
  "flush",
  "full",
  "read-only",
  "split",
  "merge",
  ...callFaultNames,
] as const;
export type Fault = (typeof faults)[number];

export function isCallFault(fault: Fault): fault is CallFaultName {
  return (callFaultNames as readonly Fault[]).includes(fault);
}

/** One kind of strike. */
export interface Blow {
  readonly fault: Fault;
  readonly target: Target;
}

export interface Strike extends Blow {
  /** Which of the gateways, for a process of one. */
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
}

/** What a proof strikes: each round deals one blow from each deck. */
export interface StrikePlan {
  readonly decks: readonly (readonly Blow[])[];
  readonly gateways: number;
}

function blows(fault: Fault, targets: readonly Target[]): Blow[] {
  return targets.map((target) => ({ fault, target }));
}

/** Beside kills and pauses: a deck a line. */
const serverFaults: Readonly<Record<Exclude<ServerKind, "redis">, readonly (readonly Fault[])[]>> = {
  kinesalite: [["cut", "silence", "down"], ["split", "merge"], Object.keys(kinesisCallFaults) as Fault[]],
  radosgw: [["cut", "silence", "down", "read-only"], Object.keys(s3CallFaults) as Fault[]],
};

/**
 * Every process of every gateway, and the proof's own servers. Nothing is deleted from the server on which gateways share topics and
 * identities, and with it the stream where that is in Redis: what it acknowledged would be gone, which no gateway can mend.
 */
export function strikePlan(system: {
  gateways: number;
  servers: ServerKinds;
  /** Where topics and identities are: with the stream, but for one in Kinesis, which holds nothing else. */
  registry: "stream-server" | "window-server";
}): StrikePlan {
  const { gateways, servers, registry } = system;
  const kinds = Object.entries(servers) as [ServerTarget, ServerKind][];
  const targets = [...processTargets, ...kinds.map(([target]) => target)];
  const decks = [blows("kill", targets), blows("pause", targets)];
  const redis = kinds.flatMap(([target, kind]) => (kind === "redis" ? [target] : []));
  if (redis.length > 0)
    decks.push([
      ...blows("cut", redis),
      ...blows("silence", redis),
      ...redis.map((target) => ({ fault: target === registry ? "full" : "flush", target }) as const),
    ]);
  for (const [target, kind] of kinds)
    if (kind !== "redis")
      for (const deck of serverFaults[kind]) decks.push(deck.flatMap((fault) => blows(fault, [target])));
  return { decks, gateways };
}

/** For servers that may lose what they confirmed: what shows that they do. A relaxed Kinesis loses entries without any strike. */
export function lossPlan(servers: ServerKinds): StrikePlan {
  const targets = Object.keys(servers) as ServerTarget[];
  const redis = targets.filter((target) => servers[target] === "redis");
  const kinesis = targets.filter((target) => servers[target] === "kinesalite");
  const decks = [blows("kill", redis), blows("split", kinesis)];
  return { decks: decks.filter((deck) => deck.length > 0), gateways: 1 };
}

const delayMsMax = 1500;
const pauseMsMax = 2500;
const absenceMsMax = 800;

/** Deterministic random numbers in [0, 1) (mulberry32), so that a seed names one sequence of strikes. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items];
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1));
    [result[index], result[other]] = [result[other] as Item, result[index] as Item];
  }
  return result;
}

/**
 * The strikes of a proof, one from each deck a round. A deck is shuffled again only once it is used up, so that 30 rounds
 * without servers give each process 10 kills and 10 pauses, in an order and at moments that only the seed decides.
 */
export function planStrikes(plan: StrikePlan, rounds: number, seed: number): Strike[] {
  const random = seededRandom(seed);
  const left: Blow[][] = plan.decks.map(() => []);
  const strikes: Strike[] = [];
  for (let round = 0; round < rounds; round++)
    for (const index of shuffled([...plan.decks.keys()], random)) {
      if (left[index]?.length === 0) left[index] = shuffled(plan.decks[index] as readonly Blow[], random);
      strikes.push(strikeOf(left[index]?.pop() as Blow, plan.gateways, random));
    }
  return strikes;
}

function strikeOf(blow: Blow, gateways: number, random: () => number): Strike {
  const { fault, target } = blow;
  const orphan = ([null, "broker", "consumer"] as const)[Math.floor(random() * 3)] ?? null;
  return {
    ...blow,
    gateway: Math.floor(random() * gateways),
    isAtCommit: random() < 0.5 && target !== "broker",
    orphan: target === "supervisor" && fault === "kill" ? orphan : null,
    delayMs: Math.floor(random() * delayMsMax),
    pauseMs: 200 + Math.floor(random() * pauseMsMax),
    absenceMs: Math.floor(random() * absenceMsMax),
  };
}
