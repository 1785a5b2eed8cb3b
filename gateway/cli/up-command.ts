import type { Command } from "commander";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import type { RunningGateway } from "../supervisor/run-gateway.ts";
import { type CommandEnvironment, runAction } from "./command-context.ts";
import type { CommandOutput } from "./command-output.ts";
import { addDataOptions, addServiceOptions, type ConfigFlags, loadCommandConfig } from "./config-options.ts";
import { bannerText } from "./up-banner.ts";

export function addUpCommand(program: Command, environment: CommandEnvironment): void {
  const up = addServiceOptions(addDataOptions(program.command("up").description("run the gateway")));
  runAction<ConfigFlags & { json?: boolean }>(up, environment, async ({ output, flags }) => {
    const { config } = loadCommandConfig(flags, environment.variables);
    const { version, program: file } = environment;
    const random = Math.random;
    const now = Date.now;
    const signals = catchSignals();
    const stopped = new AbortController();
    void signals.first.then(() => stopped.abort());
    const { createProcessLogger } = await import("../processes/process-logger.ts");
    const { openGatewayLake } = await import("../lakes/gateway-lake.ts");
    const { runGateway } = await import("../supervisor/run-gateway.ts");
    const started = await runGateway({
      config,
      logger: createProcessLogger("supervisor", config),
      version,
      program: file,
      openLake: openGatewayLake,
      backend: await streamBackend(config),
      signal: stopped.signal,
      random,
      now,
    }).catch((error: unknown) => {
      if (stopped.signal.aborted) return null;
      throw error;
    });
    if (!started) return 0;
    const gateway = started;
    signals.onSecond(() => {
      gateway.supervisor.killAll();
      process.exit(1);
    });
    announce(gateway, config, output);
    const failure = gateway.ready.then(() => new Promise<never>(() => {}));
    try {
      await Promise.race([failure, signals.first]);
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    const isComplete = await gateway.stop();
    if (!isComplete)
      output.note("Some messages in the stream were not filed in time: they are filed after the next start.");
    return isComplete ? 0 : 1;
  });
}

function announce(gateway: RunningGateway, config: GatewayConfig, output: CommandOutput): void {
  gateway.ready.then(
    () => {
      const mqtt = gateway.supervisor.child("broker")?.status.listening ?? null;
      const places = { mqtt, http: gateway.apiAddress, data: config.folders.data, lake: gateway.lakeUrl };
      output.result({ event: "ready", pid: process.pid, ...places }, bannerText(config, places));
    },
    // The process that started the gateway gets the error.
    () => {},
  );
}

interface Signals {
  /** Resolves at the first SIGINT, SIGTERM or SIGHUP. */
  readonly first: Promise<void>;
  /** Called at the second signal. */
  onSecond(listener: () => void): void;
}

function catchSignals(): Signals {
  let received = 0;
  let second = (): void => process.exit(1);
  const first = new Promise<void>((resolve) => {
    const receive = (): void => {
      received++;
      if (received === 1) resolve();
      else second();
    };
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, receive);
  });
  return {
    first,
    onSecond: (listener) => {
      second = listener;
    },
  };
}
