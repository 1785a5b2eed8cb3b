import { randomInt } from "node:crypto";
import type { Command } from "commander";
import { type GatewayConfig, loadConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { prove } from "../prove/prove.ts";
import type { ProveResult } from "../prove/prove-result.ts";
import {
  lossPlan,
  type ServerKind,
  type ServerKinds,
  type ServerTarget,
  type StrikePlan,
  strikePlan,
} from "../prove/strikes.ts";
import { type CommandEnvironment, exitCodes, runAction } from "./command-context.ts";
import { ProgressBar } from "./progress-bar.ts";

interface ProveFlags {
  readonly stream?: string;
  readonly window?: string;
  readonly lake?: string;
  readonly rounds: string;
  readonly seed?: string;
  readonly rate: string;
  readonly relaxed?: boolean;
  readonly json?: boolean;
}

const seedMax = 2 ** 31;

export function addProveCommand(program: Command, environment: CommandEnvironment): void {
  const command = program
    .command("prove")
    .description("kill and pause every process of a gateway of its own while a fleet publishes, then audit")
    .option(
      "--stream <url>",
      "stream: embedded:, redis: or kinesis: (start a server of their own), redis://HOST:PORT/DB or kinesis://REGION/STREAM",
    )
    .option("--window <url>", "dedupe window: memory:, redis: (a server of its own) or redis://HOST:PORT/DB")
    .option(
      "--lake <url>",
      "lake: file:DIR, an empty folder (default: a temporary one), s3: (a server of its own) or s3://BUCKET/PREFIX, an empty place",
    )
    .option(
      "--rounds <n>",
      "rounds; each kills one process, pauses one, and deals each server one of every other kind of fault",
      "10",
    )
    .option("--seed <n>", "decides order and moments of the strikes (default: a random one, printed)")
    .option("--rate <msgs/s>", "messages per second that the fleet publishes", "1000")
    .option(
      "--relaxed",
      "kill servers of its own that have appendfsync everysec, or have a Kinesis that reports failed entries as stored: the audit finds what is lost (exit code 1)",
    )
    .option("--json", "print one JSON object as the last line of stdout")
    .addHelpText(
      "after",
      "\nExamples: tidegate prove --rounds 30 --seed 1\n          tidegate prove --stream redis: --window redis: --rounds 30\n          tidegate prove --stream kinesis: --lake s3: --rounds 30\n",
    );
  runAction<ProveFlags>(command, environment, async ({ output, flags }) => {
    const seed = flags.seed === undefined ? randomInt(seedMax) : wholeNumber("--seed", flags.seed, 0);
    const rounds = wholeNumber("--rounds", flags.rounds, 1);
    const rate = wholeNumber("--rate", flags.rate, 1);
    const { servers, urls } = backendsOf(flags);
    const config = checkUrls(urls);
    if (flags.relaxed && lossPlan(servers).decks.length === 0)
      throw usage("--relaxed needs a server of the proof's own: add --stream redis: or --stream kinesis:");
    if (servers["stream-server"] === "kinesalite" && rounds < 2)
      throw usage("--rounds: a proof on Kinesis has 2 at least, one with a split and one with a merge.");
    output.note(`seed ${seed}: ${rounds} rounds at ${rate} messages per second`);
    const bar = new ProgressBar("{bar} {value}/{total} strikes · {strike}");
    const result = await prove({
      program: environment.program,
      rounds,
      seed,
      rate,
      plan: flags.relaxed ? lossPlan(servers) : planOf(flags, servers),
      servers,
      isRelaxed: flags.relaxed === true,
      flags: Object.entries(urls).flatMap(([name, url]) => (name === "lake" ? [] : [`--${name}`, url])),
      lakeUrl: lakeUrlOf(urls["lake"], config),
      onProgress: (done, total, strike) =>
        bar.show(done, total, { strike: strike ? `${strike.fault} ${strike.target}` : "auditing" }),
    }).finally(() => bar.stop());
    output.result(result, describe(result));
    return result.faults.length === 0 ? exitCodes.ok : exitCodes.failed;
  });
}

const backends = ["stream", "window", "lake"] as const;

/** URLs that stand for a server which the proof starts; everything else is passed on. */
const ownServers: Readonly<Record<(typeof backends)[number], Readonly<Record<string, ServerKind>>>> = {
  stream: { "redis:": "redis", "kinesis:": "kinesalite" },
  window: { "redis:": "redis" },
  lake: { "s3:": "radosgw" },
};

function backendsOf(flags: ProveFlags): { servers: ServerKinds; urls: Record<string, string> } {
  const servers: Partial<Record<ServerTarget, ServerKind>> = {};
  const urls: Record<string, string> = {};
  for (const name of backends) {
    const url = flags[name];
    if (url === undefined) continue;
    const kind = ownServers[name][url];
    if (kind) servers[`${name}-server`] = kind;
    else urls[name] = url;
  }
  return { servers, urls };
}

/** Several gateways can work on such a stream; on one in Kinesis where a Redis holds their leases. */
function isShared({ stream = "embedded:", window = "memory:" }: ProveFlags): boolean {
  if (stream.startsWith("kinesis:")) return window !== "memory:";
  return stream !== "embedded:";
}

function planOf(flags: ProveFlags, servers: ServerKinds): StrikePlan {
  const registry = flags.stream?.startsWith("kinesis:") ? "window-server" : "stream-server";
  return strikePlan({ servers, gateways: isShared(flags) ? 2 : 1, registry });
}

function usage(text: string): GatewayError {
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}

function wholeNumber(flag: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= seedMax) return value;
  throw usage(`${flag} ${text}: expected a whole number from ${minimum} on.`);
}

/** The folder in it is absolute. */
function lakeUrlOf(url: string | undefined, { folders }: GatewayConfig): string | undefined {
  return url !== undefined && folders.lake ? `file:${folders.lake}` : url;
}

/** Refuses what `tidegate up` would refuse, before anything is started. */
function checkUrls(urls: Readonly<Record<string, string>>): GatewayConfig {
  const flags = Object.entries(urls).map(([name, text]) => [`${name}.url`, { text, flag: `--${name}` }]);
  return loadConfig({ flags: Object.fromEntries(flags), environment: {}, file: null }).config;
}

function describe(result: ProveResult): string {
  const counts = (values: Readonly<Partial<Record<string, number>>>) =>
    Object.entries(values)
      .map(([name, count]) => `${count} ${name}`)
      .join(", ");
  const verdict =
    result.faults.length === 0
      ? "Proved: every acknowledged message is in the files exactly once."
      : `NOT proved: ${result.faults.join("; ")}. Logs, ledger and lake are kept in ${result.folder}`;
  return [
    `seed ${result.seed}, ${result.rounds} rounds, ${Math.round(result.durationMs / 1000)} s`,
    ...struckKinds.map((kind) => [kind, counts(result[kind])] as const).flatMap(lineOfKind),
    ...lineOfKind(["calls", callCounts(result)]),
    `acknowledged ${result.acked}, stored ${result.stored}, quarantined ${result.quarantined}`,
    `lost ${result.lost}, duplicated ${result.duplicated}, phantom ${result.phantom}, altered ${result.altered}, unaccounted ${result.unaccounted}`,
    `replayed batches ${result.replayedBatches}, duplicates dropped ${result.duplicatesDropped}, publishes repaired ${result.publishesRepaired}`,
    verdict,
  ].join("\n");
}

const struckKinds = [
  "kills",
  "pauses",
  "cuts",
  "silences",
  "downs",
  "flushes",
  "fills",
  "readOnlys",
  "splits",
  "merges",
] as const;

function callCounts({ calls }: ProveResult): string {
  return Object.entries(calls)
    .map(([fault, counts]) => `${Object.values(counts).reduce((sum, count) => sum + count, 0)} ${fault}`)
    .join(", ");
}

function lineOfKind([kind, counts]: readonly [kind: string, counts: string]): string[] {
  return counts === "" ? [] : [`${kind}: ${counts}`];
}
