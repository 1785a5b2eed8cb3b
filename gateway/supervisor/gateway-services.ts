import { shownUrl } from "../../devices/protocol/shown-url.ts";
import type { ApiServices, Readiness } from "../api/api-services.ts";
import { createQuarantineReader } from "../api/quarantine-reader.ts";
import { GatewayError } from "../errors.ts";
import { type MetricsAsJson, type RoleName, roleNames } from "../processes/messages.ts";
import { processesOf } from "../processes/processes-of.ts";
import type { Devices } from "../registry/devices.ts";
import type { GatewayLake } from "../registry/gateway-stores.ts";
import type { Topics } from "../registry/topics.ts";
import { completeCommands } from "../settings/command-flags.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import {
  type BrokerProcessStatus,
  booksOf,
  type ConsumerProcessStatus,
  type GatewayStatus,
  reasonsNotAcknowledging,
  reasonsNotFiling,
  type UpkeepProcessStatus,
} from "../status/gateway-status.ts";
import { recoveryText, whatWaits } from "../status/what-waits.ts";
import { defaultWindow } from "../windows/window-kinds.ts";
import { ConsumerWatch } from "./consumer-watch.ts";
import { addDegradedMetric, type GatewayMetrics, mergedMetrics } from "./gateway-metrics.ts";
import type { Supervisor } from "./supervisor.ts";
import { UpkeepWatch } from "./upkeep-watch.ts";

interface ServiceParts {
  readonly config: GatewayConfig;
  readonly version: string;
  readonly program: string;
  readonly startedAtMs: number;
  readonly supervisor: Supervisor;
  readonly topics: Topics;
  readonly devices: Devices;
  readonly lake: GatewayLake;
  readonly metrics: GatewayMetrics;
}

/** A stopped or busy child must not delay a monitor for long. */
const answerTimeoutMs = 2_000;
/** Accepting a gap waits for a commit. */
const acceptGapTimeoutMs = 50_000;

/** `stop` ends the polling. */
export function createServices(parts: ServiceParts): ApiServices & { stop(): void } {
  const { supervisor, topics, devices } = parts;
  const { stuckAfterMs } = parts.config.readiness;
  const elapsedMs = () => performance.now();
  const watch = new ConsumerWatch({
    child: () => supervisor.child("consumer")?.status ?? null,
    ask: () => consumerStatus(supervisor),
    stuckAfterMs,
    elapsedMs,
  });
  const upkeepWatch = new UpkeepWatch({
    child: () => supervisor.child("upkeep")?.status ?? null,
    ask: () => upkeepStatus(supervisor),
    stuckAfterMs,
    elapsedMs,
  });
  const degraded = () => [...watch.degraded(), ...upkeepWatch.degraded(), ...supervisor.silences()];
  addDegradedMetric(parts.metrics.registry, () => degraded().length);
  watch.start();
  upkeepWatch.start();
  return {
    topics,
    devices,
    quarantine: createQuarantineReader(parts),
    readiness: async () => {
      const broker = await brokerStatus(supervisor);
      // A gateway with a broker is ready while publishes are acknowledged, whatever the consumer does.
      const consumer = supervisor.child("broker") ? null : await consumerStatus(supervisor);
      const readiness = {
        ...readinessOf(supervisor, { broker, consumer }),
        progress: watch.progress(),
        degraded: degraded(),
      };
      return withCommands(readiness, parts.config.flags);
    },
    status: async () => {
      const status = await gatewayStatus(parts);
      watch.saw(status.consumer);
      upkeepWatch.saw(status.upkeep);
      return withCommands({ ...status, degraded: degraded() }, parts.config.flags);
    },
    metrics: () => collectMetrics(parts),
    stop: () => {
      watch.stop();
      upkeepWatch.stop();
    },
    acceptGap: async (partition) => {
      const consumer = supervisor.child("consumer");
      if (!consumer) throw notHere("consumer");
      return await consumer.request("acceptGap", partition, acceptGapTimeoutMs);
    },
  };
}

async function gatewayStatus(parts: ServiceParts): Promise<Omit<GatewayStatus, "degraded">> {
  const { config, supervisor, lake } = parts;
  const [broker, consumer, upkeep] = await Promise.all([
    brokerStatus(supervisor),
    consumerStatus(supervisor),
    upkeepStatus(supervisor),
  ]);
  const processes = supervisor.statuses();
  const roles = processesOf(config);
  return {
    version: parts.version,
    startedAt: new Date(parts.startedAtMs).toISOString(),
    ...readinessOf(supervisor, { broker, consumer }),
    progress: consumer?.recovery ? [recoveryText(consumer.recovery)] : [],
    data: config.folders.data,
    lake: { url: lake.url, id: lake.lakeId },
    stream: shownUrl(config.stream.url),
    window: shownUrl(config.window.url ?? defaultWindow.url),
    roles,
    processes,
    broker,
    consumer,
    upkeep,
    books: booksOf({ processes, broker, consumer }),
    waiting: whatWaits({ roles, broker, consumer }),
  };
}

/** Completes the commands in all texts of a tree. */
function withCommands<Tree>(tree: Tree, flags: GatewayConfig["flags"]): Tree {
  if (typeof tree === "string") return completeCommands(tree, flags) as Tree;
  if (Array.isArray(tree)) return tree.map((item) => withCommands(item, flags)) as Tree;
  if (typeof tree !== "object" || tree === null) return tree;
  const entries = Object.entries(tree).map(([name, value]) => [name, withCommands(value, flags)]);
  return Object.fromEntries(entries) as Tree;
}

interface ChildStatuses {
  readonly broker: BrokerProcessStatus | null;
  readonly consumer: ConsumerProcessStatus | null;
}

/** Running processes are not enough: publishes must be acknowledged. */
function readinessOf(
  supervisor: Supervisor,
  { broker, consumer }: ChildStatuses,
): Omit<Readiness, "progress" | "degraded"> {
  const processes = supervisor.readiness();
  if (!processes.isReady && !broker) return processes;
  const working = supervisor.child("broker") ? reasonsNotAcknowledging(broker) : reasonsNotFiling(consumer);
  const reasons = [...processes.reasons, ...working];
  return { isReady: reasons.length === 0, reasons };
}

async function brokerStatus(supervisor: Supervisor): Promise<BrokerProcessStatus | null> {
  return (await statusOf(supervisor, "broker")) as BrokerProcessStatus | null;
}

async function consumerStatus(supervisor: Supervisor): Promise<ConsumerProcessStatus | null> {
  return (await statusOf(supervisor, "consumer")) as ConsumerProcessStatus | null;
}

async function upkeepStatus(supervisor: Supervisor): Promise<UpkeepProcessStatus | null> {
  return (await statusOf(supervisor, "upkeep")) as UpkeepProcessStatus | null;
}

async function statusOf(supervisor: Supervisor, role: RoleName): Promise<unknown> {
  const answer = supervisor.child(role)?.request("status", null, answerTimeoutMs);
  return (await answer?.catch(() => null)) ?? null;
}

function notHere(role: RoleName): GatewayError {
  return new GatewayError(
    "ROLE_ELSEWHERE",
    `This gateway runs no ${role} (setting roles): send the request to a gateway that does.`,
    { retryable: false },
  );
}

/** Processes that do not answer in time are left out; `tidegate_child_up` names them. */
async function collectMetrics({ supervisor, metrics }: ServiceParts): Promise<string> {
  const byProcess = new Map<string, MetricsAsJson>([
    ["supervisor", await metrics.registry.getMetricsAsJSON()],
  ]);
  for (const role of roleNames) {
    const answer = await supervisor
      .child(role)
      ?.request("metrics", null, answerTimeoutMs)
      .catch(() => null);
    if (answer) byProcess.set(role, answer);
  }
  return await mergedMetrics(byProcess);
}
