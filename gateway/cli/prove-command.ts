import { randomInt } from "node:crypto";
import type { Command } from "commander";
import { type GatewayConfig, loadConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { lakeKinds } from "../lakes/lake-kinds.ts";
import type { ReachedLake } from "../prove/lake-access.ts";
import { lossPlan, onlyBlows, type StrikePlan, strikePlan } from "../prove/strike-plan.ts";
import { strikeLine } from "../prove/striker.ts";
import { faults, type ServerKind, type ServerKinds, type ServerTarget, targets } from "../prove/strikes.ts";
import type { StreamKind } from "../streams/stream-kind.ts";
import { defaultStreamUrl, streamKinds } from "../streams/stream-kinds.ts";
import { defaultWindow, windowKind, windowKinds } from "../windows/window-kinds.ts";
import { type CommandEnvironment, exitCodes, runAction } from "./command-context.ts";
import { ProgressBar } from "./progress-bar.ts";
import { proveText } from "./prove-text.ts";

interface ProveFlags {
  readonly stream?: string;
  readonly window?: string;
  readonly lake?: string;
  readonly rounds: string;
  readonly seed?: string;
  readonly rate: string;
  readonly only?: string;
  readonly backlog: string;
  readonly out?: string;
  readonly relaxed?: boolean;
  readonly json?: boolean;
}

const seedMax = 2 ** 31;

export function addProveCommand(program: Command, environment: CommandEnvironment): void {
  const command = program
    .command("prove")
    .description(
      "inject faults into a test gateway, its servers, clocks, topics and tables while a fleet publishes, then audit",
    )
    .option(
      "--stream <url>",
      "stream: embedded:, redis: or kinesis: (start a server of their own), redis://HOST:PORT/DB or kinesis://REGION/STREAM",
    )
    .option("--window <url>", "dedupe window: memory:, redis: (a server of its own) or redis://HOST:PORT/DB")
    .option(
      "--lake <url>",
      "lake: file:DIR, an empty folder (default: a temporary one), s3: (a server of its own) or s3://BUCKET/PREFIX, an empty place",
    )
    .option("--rounds <n>", "rounds; each makes one strike of each group of kinds", "10")
    .option("--seed <n>", "seed of the strikes' order and times (default: a random one, printed)")
    .option("--rate <msgs/s>", "messages per second that the fleet publishes", "1000")
    .option("--only <list>", `only these kinds of strikes, such as kill,clock: ${kinds().join(", ")}`)
    .option("--backlog <seconds>", "how long the consumers are stopped to build a backlog", "120")
    .option(
      "--out <file>",
      "write the result as JSON to this file (default: one in the temporary folder, printed)",
    )
    .option(
      "--relaxed",
      "weaken the proof's own servers (Redis with appendfsync everysec, Kinesis that reports failed entries as stored): the audit must find the loss (exit code 1)",
    )
    .option("--json", "print one JSON object as the last line of stdout")
    .addHelpText("after", helpAfter);
  runAction<ProveFlags>(command, environment, async ({ output, flags }) => {
    const { servers, urls } = backendsOf(flags);
    const config = checkUrls(urls);
    const run = runOf(flags, servers);
    // A command loads its code only when it runs.
    const { prove } = await import("../prove/prove.ts");
    await refuseUsedLake(urls["lake"], config);
    const { rounds, seed, rate, plan } = run;
    output.note(`seed ${seed}: ${rounds} rounds at ${rate} messages per second`);
    const bar = new ProgressBar("{bar} {value}/{total} strikes · {strike}");
    const result = await prove({
      program: environment.program,
      ...run,
      servers,
      isRelaxed: flags.relaxed === true,
      flags: Object.entries(urls).flatMap(([name, url]) => (name === "lake" ? [] : [`--${name}`, url])),
      lakeUrl: lakeUrlOf(urls["lake"], config),
      hasWindowInMemory:
        windowKind(config.backends.window).placeOf(config.backends.window) === null &&
        servers["window-server"] === undefined &&
        !(servers["stream-server"] && kindOfStream(flags)?.holdsWindow),
      outFile: flags.out,
      onProgress: (done, total, strike) =>
        bar.show(done, total, { strike: strike ? `${strike.fault} ${strike.target}` : "auditing" }),
      onStrike: (strike) =>
        bar.above(() => output.note(strikeLine(strike, { rounds, gateways: plan.gateways }))),
    }).finally(() => bar.stop());
    output.result(result, proveText(result));
    return result.faults.length === 0 ? exitCodes.ok : exitCodes.failed;
  });
}

const helpAfter = `
Each strike prints a line on stderr: time, round, kind, target, and whether the strike met work in flight. The proof fails if a
kind of strike never met work in flight, or if a message is lost. Exit code: 0 proved, 1 not proved, 2 wrong usage.
`;

function kinds(): readonly string[] {
  return [...faults, ...targets];
}

/** How long, how fast, and with which strikes. */
function runOf(flags: ProveFlags, servers: ServerKinds) {
  const seed = flags.seed === undefined ? randomInt(seedMax) : wholeNumber("--seed", flags.seed, 0);
  const rounds = wholeNumber("--rounds", flags.rounds, 1);
  const rate = wholeNumber("--rate", flags.rate, 1);
  const backlogMs = wholeNumber("--backlog", flags.backlog, 1) * 1000;
  if (flags.relaxed && lossPlan(servers).decks.length === 0)
    throw usage("--relaxed needs a server of the proof's own: add --stream redis: or --stream kinesis:");
  if (servers["stream-server"] === "kinesalite" && rounds < 2)
    throw usage("--rounds: a proof on Kinesis needs at least 2, one with a split and one with a merge.");
  const plan = flags.relaxed ? lossPlan(servers) : chosenPlan(flags, planOf(flags, servers));
  return { seed, rounds, rate, backlogMs, plan };
}

function chosenPlan({ only }: ProveFlags, plan: StrikePlan): StrikePlan {
  if (only === undefined) return plan;
  const names = only.split(",").map((name) => name.trim());
  for (const name of names)
    if (!name.split(" ").every((word) => kinds().includes(word)))
      throw usage(`--only ${name}: there is no such strike; choose from ${kinds().join(", ")}.`);
  const chosen = onlyBlows(plan, names);
  if (chosen.decks.length === 0) throw usage(`--only ${only}: this proof has no target for such a strike.`);
  return chosen;
}

/** The audit would include rows and commits of others. */
async function refuseUsedLake(url: string | undefined, { lakeTarget }: GatewayConfig): Promise<void> {
  if (url === undefined) return;
  const { openLakeAccess } = await import("../prove/lake-access.ts");
  const lake = openLakeAccess(lakeTarget as ReachedLake);
  // The gateways report reading faults in better words.
  const [found] = await lake
    .list("", 1)
    .catch(() => [])
    .finally(() => lake.close());
  if (found !== undefined)
    throw usage(
      `--lake ${url} is not empty: it holds ${found}. A proof needs an empty place: name another one.`,
    );
}

const backends = ["stream", "window", "lake"] as const;

/** URLs that stand for a server that the proof starts; all other URLs are passed on. */
const ownServers: Readonly<Record<(typeof backends)[number], Readonly<Record<string, ServerKind>>>> = {
  stream: serversOf(streamKinds),
  window: serversOf(windowKinds),
  lake: serversOf(lakeKinds),
};

function serversOf(
  kinds: readonly { readonly schemes: readonly string[]; readonly proofServer?: string }[],
): Record<string, ServerKind> {
  return Object.fromEntries(
    kinds.flatMap(({ schemes: [scheme = ""], proofServer }) =>
      proofServer === undefined ? [] : [[scheme, proofServer as ServerKind]],
    ),
  );
}

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

function kindOfStream({ stream = defaultStreamUrl }: ProveFlags): StreamKind | undefined {
  return streamKinds.find(({ schemes }) => schemes.some((scheme) => stream.startsWith(scheme)));
}

/** Several gateways can work on such a stream, if topics, identities and leases are on a server. */
function isShared(flags: ProveFlags): boolean {
  const { window = defaultWindow.url } = flags;
  const registryIn = kindOfStream(flags)?.registryIn;
  return registryIn === "stream" || (registryIn === "window" && window !== defaultWindow.url);
}

function planOf(flags: ProveFlags, servers: ServerKinds): StrikePlan {
  const registry = kindOfStream(flags)?.registryIn === "window" ? "window-server" : "stream-server";
  const gateways = isShared(flags) ? 2 : 1;
  // A copy of a gateway that shares nothing needs a lake of its own next to it.
  const isCopied = gateways > 1 || isOnDisk(flags.lake);
  return strikePlan({ servers, gateways, registry, isCopied });
}

function isOnDisk(lake: string | undefined): boolean {
  return lake === undefined || lake.startsWith("file:");
}

function usage(text: string): GatewayError {
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}

function wholeNumber(flag: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= seedMax) return value;
  throw usage(`${flag} ${text}: give a whole number from ${minimum} to ${seedMax}.`);
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
