import type { TObject } from "@sinclair/typebox";
import { Command, CommanderError } from "commander";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { audit } from "../audit/audit.ts";
import { auditText } from "../audit/audit-text.ts";
import { openLake } from "../audit/open-lake.ts";
import { type AuditConfig, auditSchema, type SimulateConfig, simulateSchema } from "../config.ts";
import { SimulatorError } from "../errors.ts";
import { createProgress } from "../report/progress.ts";
import { reportText } from "../report/report.ts";
import { faultChoices } from "../scenario/faults.ts";
import { mixChoices } from "../scenario/mix.ts";
import { choicesText } from "../scenario/shares.ts";
import { simulate } from "../simulate.ts";
import { commandExamples, examplesText } from "./command-examples.ts";
import { addOptions, readOptions } from "./option-schema.ts";
import { proveCommand, usageText } from "./prove-command.ts";
import { simulateOptions } from "./simulate-command.ts";
import { type ExitCode, exitCode, type Terminal } from "./terminal.ts";

export const usageCodes: readonly string[] = [
  "USAGE",
  "SIMULATE_USAGE",
  "AUDIT_USAGE",
  "LEDGER_EXISTS",
  "LEDGER_MISSING",
  "PROVE_USAGE",
  "PROVE_NEEDS_CHECKOUT",
  // What the gateway says of the URLs of a proof.
  "CONFIG_INVALID",
];

const simulateExamples = `
--faults LIST, such as disconnect,poison=0.01, or all:
${choicesText(faultChoices)}

--mix LIST, such as qos2,typed=0.5, or all:
${choicesText(mixChoices)}

${examplesText("simulate")}
Then: ${commandExamples.audit[0]}

Exit code: 0 all messages were sent (QoS 1 and 2: and acknowledged), 1 not all, 2 wrong usage.`;

const auditExamples = `
${examplesText("audit")}

Compares all columns of every row of the ledger's runs with the sent messages. Other rows are ignored. Findings:
  lost        acknowledged, and neither in a table nor in quarantine
  duplicated  rows after the first of their message
  phantom     rows of messages that were never sent
  altered     rows with a column that differs from the sent message
  misplaced   rows that queries by date and hour, by device or by event time skip
  misstated   files about which a log, or the file itself, is wrong: size, rows, partition, null counts, bounds
  disordered  messages that stand before an earlier one of their device
  mistimed    places where the stream time that forgets ids goes back, or runs faster than time
  logFaults   contradictions in the commit log, or between it and the tables
docs/audit.md has the details, and what --json prints.

Exit code: 0 proven (messages were acknowledged, no finding, and only planned messages are quarantined), 1 not proven, 2 wrong usage.`;

/** A commit reaches its tables within this time, or within the next such time. */
const lookAgainMs = 500;

/** @param ended Receives the exit code when a command has ended. */
export function createProgram(terminal: Terminal, ended: (code: ExitCode) => void): Command {
  const program = new Command("tidegate")
    .description(
      "Runs a fleet of simulated devices, audits the filed messages, and proves a gateway under faults.",
    )
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      // `failed` prints the error.
      outputError: () => {},
    });
  command(
    program,
    "simulate",
    "publish as a fleet of devices, and keep a ledger of every message",
    simulateSchema,
    simulateExamples,
  ).action(async (given: Record<string, unknown>) => {
    ended(await runSimulate(checked<SimulateConfig>(simulateSchema, given, "SIMULATE_USAGE"), terminal));
  });
  command(
    program,
    "audit",
    "prove that every acknowledged message is in the tables exactly once",
    auditSchema,
    auditExamples,
  ).action(async (given: Record<string, unknown>) => {
    ended(await runAudit(checked<AuditConfig>(auditSchema, given, "AUDIT_USAGE"), terminal));
  });
  program.addCommand(proveCommand(terminal, ended).copyInheritedSettings(program));
  return program;
}

/** Runs a command line without the program's name. Never throws. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  let code: ExitCode = exitCode.ok;
  const program = createProgram(terminal, (said) => {
    code = said;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    return failed(error, argv, terminal);
  }
}

function command(
  program: Command,
  name: string,
  description: string,
  schema: TObject,
  examples: string,
): Command {
  const added = program
    .command(name)
    .description(description)
    .allowExcessArguments(false)
    .addHelpText("after", examples);
  addOptions(added, schema);
  return added;
}

function checked<Config>(
  schema: TObject,
  given: Readonly<Record<string, unknown>>,
  code: "SIMULATE_USAGE" | "AUDIT_USAGE",
): Config {
  const read = readOptions(schema, given);
  if ("faults" in read) throw new SimulatorError(code, read.faults.join("\n"), { retryable: false });
  return read.values as Config;
}

async function runSimulate(config: SimulateConfig, terminal: Terminal): Promise<ExitCode> {
  const progress = createProgress(terminal.stderr, Date.now);
  const report = await simulate(simulateOptions(config), progress, terminal.stop);
  terminal.stdout.write(config.json ? `${JSON.stringify(report)}\n` : reportText(report));
  return report.isWhole || (report.wasStopped && report.gaveUp === 0) ? exitCode.ok : exitCode.failed;
}

async function runAudit(config: AuditConfig, terminal: Terminal): Promise<ExitCode> {
  const options = {
    ledgerFolder: config.ledger,
    lake: openLake(config.lake),
    waitMs: config.wait * 1000,
    settleMs: config.settle * 1000,
    lookAgainMs,
  };
  const result = await audit(options, createProgress(terminal.stderr, Date.now), terminal.stop);
  terminal.stdout.write(config.json ? `${JSON.stringify(result)}\n` : auditText(result));
  return result.isProven ? exitCode.ok : exitCode.failed;
}

function failed(error: unknown, argv: readonly string[], terminal: Terminal): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return exitCode.ok;
  const code = errorCode(error);
  const isProve = argv[0] === "prove";
  const said = error instanceof Error ? error.message : String(error);
  const message = isProve && error instanceof CommanderError ? usageText(said) : said;
  if (said !== helpShown) terminal.stderr.write(`${message}\n`);
  if (code === "UNEXPECTED" && error instanceof Error) terminal.stderr.write(`${error.stack}\n`);
  if (argv.includes("--json")) {
    const details =
      error instanceof CodedError && Object.keys(error.details).length > 0 ? error.details : undefined;
    terminal.stdout.write(`${JSON.stringify({ error: { code, message, details } })}\n`);
  }
  return usageCodes.includes(code) ? exitCode.usage : exitCode.failed;
}

/** What commander says after it has shown the help. */
const helpShown = "(outputHelp)";

function errorCode(error: unknown): string {
  if (error instanceof CommanderError) return "USAGE";
  return error instanceof CodedError ? error.code : "UNEXPECTED";
}
