import type { Command } from "commander";
import type { Logger } from "pino";
import { shownUrl } from "../../devices/protocol/shown-url.ts";
import { formsOf, lakeUrls } from "../config/service-urls.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import type { MigrationSource } from "../streams/migration-source.ts";
import { defaultStreamUrl, streamKind, streamKinds } from "../streams/stream-kinds.ts";
import { type CommandEnvironment, runAction } from "./command-context.ts";
import type { CommandOutput } from "./command-output.ts";
import { addBackendOptions, addDataOptions, type ConfigFlags, loadCommandConfig } from "./config-options.ts";
import { migrateLake } from "./migrate-lake.ts";
import { readPasswordFile } from "./password-file.ts";
import { ProgressBar } from "./progress-bar.ts";

interface Flags extends ConfigFlags {
  readonly from?: string;
  readonly fromPasswordFile?: string;
  readonly lakeTo?: string;
  readonly json?: boolean;
}

export function addMigrateCommand(program: Command, environment: CommandEnvironment): void {
  const sources = streamKinds.filter(({ loadSource }) => loadSource);
  const servers = sources.flatMap(({ login, label }) => (login ? label : [])).join(" or ");
  const command = addBackendOptions(
    addDataOptions(
      program
        .command("migrate")
        .description("move to another stream, or move the lake; stop all gateways first")
        .option("--from <url>", `stream to leave: ${formsOf(sources)} (default: ${defaultStreamUrl})`)
        .option("--from-password-file <file>", `password of the ${servers} to leave; - = stdin`)
        .option("--lake-to <url>", `move the lake instead: ${lakeUrls}`),
    ),
  ).addHelpText(
    "after",
    "\nFiles the messages that the old stream still holds, and copies topics and identities. With --lake-to, the stream stays. The lake is\ncopied, compared and closed at its old place.",
  );
  runAction<Flags>(command, environment, async ({ output, flags }) => {
    const { config: to } = loadCommandConfig(flags, environment.variables);
    if (flags.lakeTo !== undefined) {
      if (flags.from !== undefined) throw oneAtATime();
      await migrateLake(to, flags.lakeTo, output);
      return undefined;
    }
    const { sourceConfig } = await import("../migrate/source-config.ts");
    const file = flags.fromPasswordFile;
    const password = file === undefined ? undefined : readPasswordFile("--from-password-file", file);
    const from = sourceConfig(to, flags.from ?? defaultStreamUrl, password);
    const { migrate } = await import("../migrate/migrate.ts");
    const { createProcessLogger } = await import("../processes/process-logger.ts");
    const logger = createProcessLogger("migrate", { ...to, log: { ...to.log, level: "warn" } });
    const bar = new ProgressBar("{bar} {text}");
    const source = await sourceOf(from, to, { logger, onWaiting: noteOnce(output) });
    const result = await migrate({ source, to, logger, onProgress: progressOf(bar, source.name) }).finally(
      () => bar.stop(),
    );
    const { messages, topics, devices, movedTo } = result;
    const where =
      movedTo === null
        ? `${source.name} is closed, and is deleted after a week`
        : `The old stream is in ${movedTo}`;
    output.result(
      result,
      `Filed ${messages} waiting messages, copied ${topics} topic versions and ${devices} identities. ${capitalised(where)} and is no longer needed.\nContinue with: tidegate up --stream ${shownUrl(to.stream.url)} (and the same --data, --lake and --window).`,
    );
    return undefined;
  });
}

function oneAtATime(): GatewayError {
  const text = "--from and --lake-to: give one of them; move the stream and the lake one after the other.";
  return new GatewayError("USAGE_INVALID", text, { retryable: false });
}

async function sourceOf(
  from: GatewayConfig,
  to: GatewayConfig,
  { logger, onWaiting }: { logger: Logger; onWaiting: (names: readonly string[]) => void },
): Promise<MigrationSource> {
  const source = await streamKind(from.backends.stream).loadSource?.();
  // `sourceConfig` has refused it before.
  if (!source) throw new TypeError("no way leads from such a stream");
  return source({ config: from, movedTo: shownUrl(to.stream.url), logger, onWaiting });
}

function noteOnce(output: CommandOutput): (names: readonly string[]) => void {
  let noted = "";
  return (names) => {
    const text = `Waiting for ${names.join(", ")} to end.`;
    if (text !== noted) output.note(text);
    noted = text;
  };
}

function progressOf(bar: ProgressBar, name: string): (lagBytes: number) => void {
  let mostBytes = 0;
  return (lagBytes) => {
    mostBytes = Math.max(mostBytes, lagBytes);
    if (lagBytes === 0) return;
    const text = `${(lagBytes / 2 ** 20).toFixed(1)} MiB of ${name} to file`;
    bar.show(mostBytes - lagBytes, mostBytes, { text });
  };
}

function capitalised(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
