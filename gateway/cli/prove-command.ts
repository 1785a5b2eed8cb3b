import { randomInt } from "node:crypto";
import type { Command } from "commander";
import { type GatewayConfig, loadConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { prove } from "../prove/prove.ts";
import type { ProveResult } from "../prove/prove-result.ts";
import { lossPlan, type ServerTarget, strikePlan } from "../prove/strikes.ts";
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
      "stream: embedded:, redis: (starts a server of its own) or redis://HOST:PORT/DB",
    )
    .option("--window <url>", "dedupe window: memory:, redis: (a server of its own) or redis://HOST:PORT/DB")
    .option("--lake <url>", "lake: file:DIR, an empty folder (default: a temporary one)")
    .option("--rounds <n>", "rounds; each kills one process and pauses one", "10")
    .option("--seed <n>", "decides order and moments of the strikes (default: a random one, printed)")
    .option("--rate <msgs/s>", "messages per second that the fleet publishes", "1000")
    .option(
      "--relaxed",
      "kill servers of its own that have appendfsync everysec: the audit finds what they lose (exit code 1)",
    )
    .option("--json", "print one JSON object as the last line of stdout")
    .addHelpText(
      "after",
      "\nExamples: tidegate prove --rounds 30 --seed 1\n          tidegate prove --stream redis: --window redis: --rounds 30\n",
    );
  runAction<ProveFlags>(command, environment, async ({ output, flags }) => {
    const seed = flags.seed === undefined ? randomInt(seedMax) : wholeNumber("--seed", flags.seed, 0);
    const rounds = wholeNumber("--rounds", flags.rounds, 1);
    const rate = wholeNumber("--rate", flags.rate, 1);
    const { servers, urls } = backendsOf(flags);
    const config = checkUrls(urls);
    if (flags.relaxed && servers.length === 0)
      throw usage("--relaxed needs a server of the proof's own: add --stream redis:");
    output.note(`seed ${seed}: ${rounds} rounds at ${rate} messages per second`);
    const bar = new ProgressBar("{bar} {value}/{total} strikes · {strike}");
    const result = await prove({
      program: environment.program,
      rounds,
      seed,
      rate,
      plan: flags.relaxed
        ? lossPlan(servers)
        : strikePlan({ servers, gateways: isShared(flags.stream) ? 2 : 1 }),
      servers,
      isRelaxed: flags.relaxed === true,
      flags: Object.entries(urls).flatMap(([name, url]) => (name === "lake" ? [] : [`--${name}`, url])),
      lakeFolder: flags.lake === undefined ? undefined : (config.folders.lake ?? undefined),
      onProgress: (done, total, strike) =>
        bar.show(done, total, { strike: strike ? `${strike.fault} ${strike.target}` : "auditing" }),
    }).finally(() => bar.stop());
    output.result(result, describe(result));
    return result.faults.length === 0 ? exitCodes.ok : exitCodes.failed;
  });
}

const backends = ["stream", "window", "lake"] as const;

/** `redis:` stands for a server that the proof starts; everything else is passed on. */
function backendsOf(flags: ProveFlags): { servers: ServerTarget[]; urls: Record<string, string> } {
  const servers = (["stream", "window"] as const).filter((name) => flags[name] === ownRedis);
  const urls = backends.flatMap((name) => {
    const url = flags[name];
    return url === undefined || url === ownRedis ? [] : [[name, url] as const];
  });
  return { servers: servers.map((name) => `${name}-server` as const), urls: Object.fromEntries(urls) };
}

const ownRedis = "redis:";

/** Several gateways can work on such a stream. */
function isShared(stream: string | undefined): boolean {
  return stream !== undefined && stream !== "embedded:";
}

function usage(text: string): GatewayError {
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}

function wholeNumber(flag: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= seedMax) return value;
  throw usage(`${flag} ${text}: expected a whole number from ${minimum} on.`);
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
    `acknowledged ${result.acked}, stored ${result.stored}, quarantined ${result.quarantined}`,
    `lost ${result.lost}, duplicated ${result.duplicated}, phantom ${result.phantom}, altered ${result.altered}, unaccounted ${result.unaccounted}`,
    `replayed batches ${result.replayedBatches}, duplicates dropped ${result.duplicatesDropped}, publishes repaired ${result.publishesRepaired}`,
    verdict,
  ].join("\n");
}

const struckKinds = ["kills", "pauses", "cuts", "silences", "flushes", "fills"] as const;

function lineOfKind([kind, counts]: readonly [kind: string, counts: string]): string[] {
  return counts === "" ? [] : [`${kind}: ${counts}`];
}
