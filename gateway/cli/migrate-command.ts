import type { Command } from "commander";
import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { shownUrl } from "../settings/secrets.ts";
import { type CommandEnvironment, runAction } from "./command-context.ts";
import { addBackendOptions, addDataOptions, type ConfigFlags, loadCommandConfig } from "./config-options.ts";
import { ProgressBar } from "./progress-bar.ts";

type Flags = ConfigFlags & { readonly json?: boolean };

export function addMigrateCommand(program: Command, environment: CommandEnvironment): void {
  const command = addBackendOptions(
    addDataOptions(
      program
        .command("migrate")
        .description("with the gateway stopped: move from the embedded stream to a shared one, same lake"),
    ),
  ).addHelpText(
    "after",
    "\nFiles what the embedded stream still holds, and takes topics and identities along.\nExample: tidegate migrate --stream redis://127.0.0.1:6379/0\n",
  );
  runAction<Flags>(command, environment, async ({ output, flags }) => {
    const { config: to } = loadCommandConfig(flags, environment.variables);
    if (to.backends.stream.kind === "embedded")
      throw new GatewayError(
        "USAGE_INVALID",
        "--stream must name the stream to move to, for example --stream redis://127.0.0.1:6379/0.",
        { retryable: false },
      );
    const from = withEmbeddedStream(to);
    const { migrate } = await import("../migrate/migrate.ts");
    const { createProcessLogger } = await import("../process-logger.ts");
    const bar = new ProgressBar("{bar} {text}");
    const result = await migrate({
      from,
      to,
      logger: createProcessLogger("migrate", { ...to, log: { ...to.log, level: "warn" } }),
      onProgress: progressOf(bar),
    }).finally(() => bar.stop());
    const { messages, topics, devices, movedTo } = result;
    output.result(
      result,
      `Filed ${messages} messages that waited, copied ${topics} topic versions and ${devices} identities. The old stream is in ${movedTo}; nothing in it is needed any more.\nGo on with: tidegate up --stream ${shownUrl(to.stream.url)} (and the same --data, --lake and --window).`,
    );
    return undefined;
  });
}

/** The same gateway as it was on the stream in its data folder. */
function withEmbeddedStream(config: GatewayConfig): GatewayConfig {
  const backends = { stream: { kind: "embedded" }, window: { kind: "memory" } } as const;
  return { ...config, backends };
}

function progressOf(bar: ProgressBar): (lagBytes: number) => void {
  let mostBytes = 0;
  return (lagBytes) => {
    mostBytes = Math.max(mostBytes, lagBytes);
    if (lagBytes === 0) return;
    const text = `${(lagBytes / 2 ** 20).toFixed(1)} MiB of the embedded stream to file`;
    bar.show(mostBytes - lagBytes, mostBytes, { text });
  };
}
