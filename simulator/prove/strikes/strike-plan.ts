import { kinesisCallFaultNames, s3CallFaultNames } from "../call-fault-names.ts";
import { seededRandom, shuffled } from "../seeded-random.ts";
import {
  type Blow,
  clientFaults,
  clockFaults,
  compactionFault,
  type Fault,
  parkingFaults,
  processTargets,
  type ServerKind,
  type ServerKinds,
  type ServerTarget,
  type Strike,
  type Target,
  tableFaults,
  topicFaults,
} from "../strike.ts";

/** The kinds of strikes of a proof. Each round deals one blow from each deck. */
export interface StrikePlan {
  readonly decks: readonly (readonly Blow[])[];
  readonly gateways: number;
}

function blows(fault: Fault, targets: readonly Target[]): Blow[] {
  return targets.map((target) => ({ fault, target }));
}

function at(target: Target, faults: readonly Fault[]): Blow[] {
  return faults.map((fault) => ({ fault, target }));
}

/** Beside kills and pauses: a deck a line. */
const serverDecks: Readonly<Record<Exclude<ServerKind, "redis">, readonly (readonly Fault[])[]>> = {
  kinesalite: [["cut", "silence", "down"], ["split", "merge"], kinesisCallFaultNames],
  radosgw: [["cut", "silence", "down", "read-only"], s3CallFaultNames],
};

export interface StruckSystem {
  readonly gateways: number;
  readonly servers: ServerKinds;
  /** Where topics and identities are: with the stream, but for one in Kinesis, which holds nothing else. */
  readonly registry: "stream-server" | "window-server";
  /** False if a copy of a data folder would be a second owner of the stream and the lake. */
  readonly isCopied: boolean;
}

/**
 * Every process of every gateway, the proof's own servers, and the parts. Nothing is deleted from the server
 * on which gateways share topics and identities. If the stream is in Redis, it is on this server: a gateway
 * cannot restore acknowledged messages that are deleted there.
 */
export function strikePlan({ gateways, servers, registry, isCopied }: StruckSystem): StrikePlan {
  const kinds = Object.entries(servers) as [ServerTarget, ServerKind][];
  const targets = [...processTargets, ...kinds.map(([target]) => target)];
  const decks = [blows("kill", targets), blows("pause", targets), ...partDecks(isCopied)];
  const redis = kinds.flatMap(([target, kind]) => (kind === "redis" ? [target] : []));
  if (redis.length > 0)
    decks.push([
      ...blows("cut", redis),
      ...blows("silence", redis),
      ...blows(
        "flush",
        redis.filter((target) => target !== registry),
      ),
      ...blows("full", redis),
    ]);
  for (const [target, kind] of kinds)
    if (kind !== "redis") for (const deck of serverDecks[kind]) decks.push(at(target, deck));
  return { decks, gateways };
}

/** A backlog takes minutes, and a process that hangs is noticed late: one of each among many blows. */
const blowsPerBacklog = 12;

function partDecks(isCopied: boolean): Blow[][] {
  const administration = [...at("topics", topicFaults), ...(isCopied ? at("data-folder", ["copy"]) : [])];
  const repeated = Array.from(
    { length: blowsPerBacklog },
    (_, index) => administration[index % administration.length] as Blow,
  );
  return [
    at("clock", clockFaults),
    at("tables", tableFaults),
    at("tables", [...parkingFaults, compactionFault]),
    at("clients", clientFaults),
    [
      ...repeated,
      { fault: "backlog", target: "consumers" },
      ...blows("hang", ["broker", "consumer", "upkeep"]),
    ],
  ];
}

/**
 * The plan without the kinds of blows that are not among `names`. A name is a fault (`kill`), a target
 * (`clock`), or both (`kill broker`).
 */
export function onlyBlows({ decks, gateways }: StrikePlan, names: readonly string[]): StrikePlan {
  const isWanted = ({ fault, target }: Blow) =>
    [fault, target, `${fault} ${target}`].some((name) => names.includes(name));
  return { decks: decks.map((deck) => deck.filter(isWanted)).filter((deck) => deck.length > 0), gateways };
}

/**
 * For servers that may lose what they confirmed: the strikes that show the loss. A relaxed Kinesis loses
 * entries without any strike.
 */
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

/**
 * The strikes of a proof, one from each deck a round. A deck is shuffled again only once it is used up. So 32
 * rounds without servers give each process 8 kills and 8 pauses. The seed alone decides their order and
 * moments.
 */
export function planStrikes(plan: StrikePlan, rounds: number, seed: number): Strike[] {
  const random = seededRandom(seed);
  const left: Blow[][] = plan.decks.map(() => []);
  const strikes: Strike[] = [];
  for (let round = 1; round <= rounds; round++)
    for (const index of shuffled([...plan.decks.keys()], random)) {
      if (left[index]?.length === 0) left[index] = shuffled(plan.decks[index] as readonly Blow[], random);
      strikes.push(strikeOf(left[index]?.pop() as Blow, { round, gateways: plan.gateways, random }));
    }
  return strikes;
}

/** The broker does not commit, and the work of the upkeep would be over by the next commit. */
const isNotAtCommit: ReadonlySet<Target> = new Set(["broker", "upkeep"]);
const orphans = [null, ...processTargets.filter((target) => target !== "supervisor")];

function strikeOf(
  blow: Blow,
  { round, gateways, random }: { round: number; gateways: number; random: () => number },
): Strike {
  const { fault, target } = blow;
  const orphan = orphans[Math.floor(random() * orphans.length)] ?? null;
  return {
    ...blow,
    round,
    gateway: Math.floor(random() * gateways),
    isAtCommit: random() < 0.5 && !isNotAtCommit.has(target),
    orphan: target === "supervisor" && fault === "kill" ? orphan : null,
    delayMs: Math.floor(random() * delayMsMax),
    pauseMs: 200 + Math.floor(random() * pauseMsMax),
    absenceMs: Math.floor(random() * absenceMsMax),
    amount: random(),
  };
}
