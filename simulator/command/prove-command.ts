import { randomInt } from "node:crypto";
import { Command } from "commander";
import { SimulatorError } from "../errors.ts";
import { type BackendUrls, backendsOf } from "../prove/backends.ts";
import { checkUrls } from "../prove/check-urls.ts";
import { proveText } from "../prove/prove-text.ts";
import { faults, targets } from "../prove/strike.ts";
import { strikeLine } from "../prove/striker.ts";
import {
  lossPlan,
  onlyBlows,
  type StrikePlan,
  type StruckSystem,
  strikePlan,
} from "../prove/strikes/strike-plan.ts";
import { createProgress } from "../report/progress.ts";
import { examplesText } from "./command-examples.ts";
import { type ExitCode, exitCode, type Terminal } from "./terminal.ts";

interface ProveFlags extends BackendUrls {
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

export function proveCommand(terminal: Terminal, ended: (code: ExitCode) => void): Command {
  return new Command("prove")
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
    .option("--only <list>", `only these kinds of strikes, such as kill,clock: ${kinds.join(", ")}`)
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
    .allowExcessArguments(false)
    .addHelpText("after", `${helpAfter}\n${examplesText("prove")}`)
    .action(async (flags: ProveFlags) => ended(await runProve(flags, terminal)));
}

const kinds: readonly string[] = [...faults, ...targets];

const helpAfter = `
Each strike prints a line on stderr: time, round, kind, target, and whether the strike met work in flight. The proof fails if a
kind of strike never met work in flight, or if a message is lost. Exit code: 0 proved, 1 not proved, 2 wrong usage.

`;

async function runProve(flags: ProveFlags, { stdout, stderr, gateway }: Terminal): Promise<ExitCode> {
  refuseSwallowedFlags(flags);
  const backends = backendsOf(flags);
  const { servers, urls, lakeUrl, hasWindowInMemory } = backends;
  await checkUrls(gateway, urls);
  const run = runOf(flags, backends.struck);
  const { rounds, seed, rate, plan } = run;
  // A command loads its code only when it runs.
  const [{ prove }, { loadServers }] = await Promise.all([
    import("../prove/prove.ts"),
    import("../prove/under-test/own-servers.ts"),
  ]);
  await loadServers(servers);
  if (lakeUrl !== undefined) await refuseUsedLake(lakeUrl, flags.lake);
  stderr.write(`seed ${seed}: ${rounds} rounds at ${rate} messages per second\n`);
  const bar = stderr.isTTY ? createProgress(stderr, Date.now) : null;
  const result = await prove({
    program: gateway,
    ...run,
    servers,
    isRelaxed: flags.relaxed === true,
    flags: Object.entries(urls).flatMap(([name, url]) => (name === "lake" ? [] : [`--${name}`, url])),
    lakeUrl,
    hasWindowInMemory,
    outFile: flags.out,
    onProgress: (done, total, strike) =>
      bar?.show({
        done,
        total,
        text: `strikes · ${strike ? `${strike.fault} ${strike.target}` : "auditing"}`,
      }),
    onStrike: (strike) => {
      // The next update draws the bar's line again.
      if (bar) stderr.write("\r\u001b[K");
      stderr.write(`${strikeLine(strike, { rounds, gateways: plan.gateways })}\n`);
    },
  }).finally(() => bar?.stop());
  stdout.write(`${flags.json ? JSON.stringify(result) : proveText(result)}\n`);
  return result.faults.length === 0 ? exitCode.ok : exitCode.failed;
}

/** `--stream --json` would be a stream named --json. */
function refuseSwallowedFlags(flags: ProveFlags): void {
  for (const [name, value] of Object.entries(flags))
    if (typeof value === "string" && /^--\w/.test(value))
      throw usage(`--${name} is missing its value: ${value} follows it.`);
}

/** How long, how fast, and with which strikes. */
function runOf(flags: ProveFlags, struck: StruckSystem) {
  const { servers } = struck;
  const seed = flags.seed === undefined ? randomInt(seedMax) : wholeNumber("--seed", flags.seed, 0);
  const rounds = wholeNumber("--rounds", flags.rounds, 1);
  const rate = wholeNumber("--rate", flags.rate, 1);
  const backlogMs = wholeNumber("--backlog", flags.backlog, 1) * 1000;
  if (flags.relaxed && lossPlan(servers).decks.length === 0)
    throw usage("--relaxed needs a server of the proof's own: add --stream redis: or --stream kinesis:");
  if (servers["stream-server"] === "kinesalite" && rounds < 2)
    throw usage("--rounds: a proof on Kinesis needs at least 2, one with a split and one with a merge.");
  const plan = flags.relaxed ? lossPlan(servers) : chosenPlan(flags, strikePlan(struck));
  return { seed, rounds, rate, backlogMs, plan };
}

function chosenPlan({ only }: ProveFlags, plan: StrikePlan): StrikePlan {
  if (only === undefined) return plan;
  const names = only.split(",").map((name) => name.trim());
  for (const name of names)
    if (!name.split(" ").every((word) => kinds.includes(word)))
      throw usage(`--only ${name}: there is no such strike; choose from ${kinds.join(", ")}.`);
  const chosen = onlyBlows(plan, names);
  if (chosen.decks.length === 0) throw usage(`--only ${only}: this proof has no target for such a strike.`);
  return chosen;
}

/** The audit would include rows and commits of others. */
async function refuseUsedLake(lakeUrl: string, given: string | undefined): Promise<void> {
  const { openLakeAccess } = await import("../prove/lake-access.ts");
  const lake = openLakeAccess(lakeUrl);
  // The gateways report reading faults in better words.
  const [found] = await lake
    .list("", 1)
    .catch(() => [])
    .finally(() => lake.close());
  if (found !== undefined)
    throw usage(
      `--lake ${given} is not empty: it holds ${found}. A proof needs an empty place: name another one.`,
    );
}

/** What commander says of a command line, with what to write instead. */
export function usageText(message: string): string {
  const [fault = "", suggestion = ""] = message.replace(/^error: /, "").split("\n");
  const near = /^\(Did you mean (?:one of )?(.+)\?\)$/.exec(suggestion)?.[1];
  if (near !== undefined) return `${fault}: did you mean ${near}?`;
  return `${fault.replace(/\.$/, "")}: \`tidegate prove --help\` shows its arguments.`;
}

function usage(text: string): SimulatorError {
  return new SimulatorError("PROVE_USAGE", text, { retryable: false });
}

function wholeNumber(flag: string, text: string, minimum: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= minimum && value <= seedMax) return value;
  throw usage(`${flag} ${text}: give a whole number from ${minimum} to ${seedMax}.`);
}
