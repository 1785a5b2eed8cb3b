import { Counter, type Registry } from "prom-client";
import { statusGauges } from "../status-gauges.ts";
import type { WatchStatus } from "./server-watch.ts";

/** Recorded per call, not per message. */
export interface RedisStreamMetrics {
  appended(bytes: number, blocks: number, elapsedMs: number): void;
  failed(code: string): void;
}

export function createRedisStreamMetrics(registry: Registry, status: () => WatchStatus): RedisStreamMetrics {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []): Counter =>
    new Counter({ name, help, labelNames, registers });
  const blocks = counter("tidegate_stream_redis_appended_blocks_total", "Blocks that Redis confirmed.");
  const bytes = counter(
    "tidegate_stream_redis_appended_bytes_total",
    "Bytes of the blocks that Redis confirmed.",
  );
  const calls = counter("tidegate_stream_redis_append_calls_total", "Append calls to Redis.");
  const seconds = counter(
    "tidegate_stream_redis_append_seconds_total",
    "Time of append calls to Redis, seconds.",
  );
  const failures = counter(
    "tidegate_stream_redis_append_failures_total",
    "Append calls that failed or were held, by error code.",
    ["code"],
  );
  addServerGauges(registry, status);
  return {
    appended: (appendedBytes, count, elapsedMs) => {
      blocks.inc(count);
      bytes.inc(appendedBytes);
      calls.inc();
      seconds.inc(elapsedMs / 1000);
    },
    failed: (code) => failures.inc({ code }),
  };
}

function addServerGauges(registry: Registry, status: () => WatchStatus): void {
  const gauge = statusGauges(registry, status);
  gauge(
    "tidegate_stream_redis_used_bytes",
    "Memory that the fullest server uses.",
    ({ usedBytes }) => usedBytes,
  );
  gauge(
    "tidegate_stream_redis_max_bytes",
    "Memory that the fullest server may use.",
    ({ maxBytes }) => maxBytes,
  );
  gauge(
    "tidegate_stream_redis_faults",
    "Reasons why a server may lose confirmed data.",
    ({ faults }) => faults.length,
  );
  gauge("tidegate_stream_redis_connected", "1 while the servers answer and are checked.", ({ isConnected }) =>
    Number(isConnected),
  );
  gauge("tidegate_stream_redis_pressure", "Memory step: 0 none, 1 warn, 2 hold, 3 refuse.", ({ pressure }) =>
    ["none", "warn", "hold", "refuse"].indexOf(pressure),
  );
}
