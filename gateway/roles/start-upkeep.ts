import { setTimeout as delay } from "node:timers/promises";
import { openBootClock } from "../../bridge/boot-clock.ts";
import { retentionWork, UpkeepLoop, UpkeepMetrics, vacuumWork } from "../../bridge/lake/index.ts";
import { openGatewayCommitLog } from "../lakes/open-commit-log.ts";
import { openLakeStore } from "../lakes/open-lake-store.ts";
import { lowerPriority } from "../processes/lower-priority.ts";
import type { RoleContext, RunningRole } from "../processes/run-child.ts";
import type { UpkeepProcessStatus } from "../status/gateway-status.ts";
import { streamBackend } from "../streams/stream-kinds.ts";
import { stuckError } from "./stuck-error.ts";
import { WorkWatch } from "./work-watch.ts";

/** How long a stopping process waits for its work, which a later process may repeat. */
const stopMaxMs = 3_000;

/** The work on the lake that publishing does not wait for. */
export async function startUpkeep(context: RoleContext): Promise<RunningRole> {
  const { config, logger, metrics: registry } = context;
  beNice(context);
  const { stuckMs } = config.supervision;
  let loop: UpkeepLoop | null = null;
  const watch = new WorkWatch({
    limitMs: stuckMs,
    // Between two works; the start is watched, too.
    mayTakeLong: () => loop !== null && loop.status().doing === null,
    stuck: (doing) => context.fail(stuckError("upkeep", stuckMs, doing)),
  });
  watch.begin();
  const { store, commitLog, lease } = await watch
    .port("upkeep", { open: () => openParts(context, watch) })
    .open();
  const clock = openBootClock();
  const elapsedMs = () => clock.elapsedMs();
  const { vacuumIntervalMs, vacuumAgeMs: ageMs, retentionIntervalMs, quarantineRetentionMs } = config.tables;
  const common = { store, commitLog, logger, registry, elapsedMs, now: Date.now };
  const retention = retentionWork({
    ...common,
    intervalMs: retentionIntervalMs,
    quarantineMs: quarantineRetentionMs,
  });
  const running = new UpkeepLoop({
    works: [retention, vacuumWork({ ...common, intervalMs: vacuumIntervalMs, ageMs })],
    isOurs: () => lease?.isHeld() ?? true,
    logger,
    metrics: new UpkeepMetrics(registry),
    now: Date.now,
    elapsedMs,
    sleep: (ms, signal) => delay(ms, undefined, { signal }).catch(() => {}),
  });
  loop = running;
  running.start();
  return {
    listening: null,
    status: async (): Promise<UpkeepProcessStatus> => ({
      ...running.status(),
      leftAlone: retention.leftAlone(),
      lease: lease?.status() ?? null,
    }),
    stop: async () => {
      watch.end();
      await Promise.race([running.stop(), delay(stopMaxMs)]);
      await lease?.close();
    },
  };
}

async function openParts(context: RoleContext, watch: WorkWatch) {
  const { config, logger, metrics: registry } = context;
  const store = watch.port("store", await openLakeStore(config, { access: "write", logger, registry }));
  const commitLog = await openGatewayCommitLog(store, config);
  const backend = await streamBackend(config);
  const lease = (await backend.openUpkeepLease?.(context, commitLog.lakeId)) ?? null;
  return { store, commitLog, lease };
}

/** A process that the system does not let go last works all the same. */
function beNice({ logger }: RoleContext): void {
  try {
    lowerPriority();
  } catch (error) {
    logger.warn({ event: "upkeep.priority.failed", err: error }, "the upkeep runs at normal priority");
  }
}
