import type { Logger } from "pino";
import { Registry } from "prom-client";
import type { AcceptedGap } from "../../bridge/lake/consumer/index.ts";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { beatEventLoop } from "./event-loop-beat.ts";
import type { CommittedPositions, RoleName } from "./messages.ts";
import { createProcessLogger } from "./process-logger.ts";
import { refusalOf, SupervisorLink } from "./supervisor-link.ts";

/** What the process of a role provides to it. */
export interface RoleContext {
  readonly config: GatewayConfig;
  /** `host:port` that an earlier process of this role listened on; null at the first start. */
  readonly earlierAddress: string | null;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** Reports the committed positions to the supervisor. */
  readonly committed: (committed: CommittedPositions) => void;
  /** Ends the process because its work cannot continue; the supervisor restarts it. */
  readonly fail: (error: unknown) => void;
}

/** A role that has started. */
export interface RunningRole {
  readonly listening: string | null;
  status(): Promise<unknown>;
  /** Finishes the work in progress; the process then ends with 0. */
  stop(): Promise<void>;
  topicsChanged?(): Promise<void>;
  deviceRevoked?(name: string): Promise<void>;
  acceptGap?(partition: number): Promise<AcceptedGap>;
  committed?(committed: CommittedPositions): void;
}

export type StartRole = (context: RoleContext) => Promise<RunningRole>;

/** Exit code of a child that reported why it cannot continue. */
const refusedExitCode = 3;

/** Runs a role in this process until its supervisor stops it or ends. */
export function runChild(role: RoleName, startRole: StartRole): void {
  // Ctrl-C in a terminal and TERM from a service manager reach the whole group, but the supervisor decides
  // when each process ends.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
  let running: RunningRole | null = null;
  const link = new SupervisorLink(
    process,
    {
      start: ({ config, listening }) => {
        begin(config, listening).then(
          (started) => {
            running = started;
          },
          (error: unknown) => refuse(error),
        );
      },
      stop: () => {
        if (!running) process.exit(0);
        running.stop().then(
          () => process.exit(0),
          (error: unknown) => refuse(error),
        );
      },
      committed: (committed) => running?.committed?.(committed),
    },
    () => process.exit(1),
  );
  let logger: Logger | null = null;
  const refuse = (error: unknown): void => {
    // The supervisor retries temporary failures, and reports those that persist.
    const level = error instanceof CodedError && error.retryable ? "warn" : "error";
    logger?.[level]({ event: `${role}.refused`, err: error }, `${role} can't go on`);
    void link.refused(refusalOf(error)).then(() => process.exit(refusedExitCode));
  };
  const begin = async (config: GatewayConfig, earlierAddress: string | null): Promise<RunningRole> => {
    logger = createProcessLogger(role, config);
    const { silenceMs } = config.supervision;
    const failed = (error: unknown): void =>
      logger?.warn({ event: "child.unwatched", err: error }, `no stack will be logged if the ${role} hangs`);
    beatEventLoop({ role, silenceMs, tell: () => link.alive(), failed }).catch(() => {});
    const metrics = new Registry();
    const committed = (positions: CommittedPositions): void => link.committed(positions);
    const started = await startRole({ config, earlierAddress, logger, metrics, committed, fail: refuse });
    link.serve("status", () => started.status());
    link.serve("metrics", () => metrics.getMetricsAsJSON());
    link.serve("topicsChanged", async () => {
      await started.topicsChanged?.();
      return null;
    });
    link.serve("deviceRevoked", async (name) => {
      await started.deviceRevoked?.(name);
      return null;
    });
    const acceptGap = started.acceptGap?.bind(started);
    if (acceptGap) link.serve("acceptGap", acceptGap);
    link.ready(started.listening);
    return started;
  };
}
