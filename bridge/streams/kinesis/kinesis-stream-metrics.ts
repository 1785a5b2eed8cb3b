import { Counter, type Registry } from "prom-client";
import { statusGauges } from "../status-gauges.ts";
import type { KinesisStreamStatus } from "./kinesis-stream-status.ts";

/** Recorded per call, not per message. */
export interface KinesisStreamMetrics {
  appended(bytes: number, blocks: number): void;
  called(elapsedMs: number): void;
  failed(code: string): void;
  read(bytes: number, blocks: number): void;
  readFailed(code: string): void;
}

type CreateCounter = (name: string, help: string, labelNames?: string[]) => Counter;

export function createKinesisStreamMetrics(
  registry: Registry,
  status: () => KinesisStreamStatus,
): KinesisStreamMetrics {
  const counter: CreateCounter = (name, help, labelNames = []) =>
    new Counter({ name, help, labelNames, registers: [registry] });
  const metrics = { ...appendCounters(counter), ...readCounters(counter) };
  observeStatus(registry, status);
  return metrics;
}

function appendCounters(
  counter: CreateCounter,
): Pick<KinesisStreamMetrics, "appended" | "called" | "failed"> {
  const blocks = counter("tidegate_stream_kinesis_appended_blocks_total", "Blocks that Kinesis confirmed.");
  const bytes = counter(
    "tidegate_stream_kinesis_appended_bytes_total",
    "Bytes of the blocks that Kinesis confirmed.",
  );
  const calls = counter(
    "tidegate_stream_kinesis_append_calls_total",
    "PutRecords calls, failed ones included.",
  );
  const seconds = counter(
    "tidegate_stream_kinesis_append_seconds_total",
    "Time of PutRecords calls, seconds.",
  );
  const failures = counter(
    "tidegate_stream_kinesis_append_failures_total",
    "Failures to confirm a block and those waiting after it, by error code.",
    ["code"],
  );
  return {
    appended: (appendedBytes, count) => {
      blocks.inc(count);
      bytes.inc(appendedBytes);
    },
    called: (elapsedMs) => {
      calls.inc();
      seconds.inc(elapsedMs / 1000);
    },
    failed: (code) => failures.inc({ code }),
  };
}

function readCounters(counter: CreateCounter): Pick<KinesisStreamMetrics, "read" | "readFailed"> {
  const blocks = counter("tidegate_stream_kinesis_read_blocks_total", "Records read.");
  const bytes = counter("tidegate_stream_kinesis_read_bytes_total", "Bytes of records read.");
  const failures = counter(
    "tidegate_stream_kinesis_read_failures_total",
    "Failed calls to read, by error code.",
    ["code"],
  );
  return {
    read: (readBytes, count) => {
      bytes.inc(readBytes);
      blocks.inc(count);
    },
    readFailed: (code) => failures.inc({ code }),
  };
}

/** Registers gauges of the stream's status; their values are read at each collection. */
function observeStatus(registry: Registry, status: () => KinesisStreamStatus): void {
  const gauge = statusGauges(registry, status);
  gauge("tidegate_stream_kinesis_open_shards", "Open shards.", ({ openShards }) => openShards);
  gauge(
    "tidegate_stream_kinesis_behind_seconds",
    "Lag of the shard that lags most.",
    ({ behindMs }) => behindMs / 1000,
  );
  gauge(
    "tidegate_stream_kinesis_retention_seconds",
    "Time that the stream keeps records.",
    ({ retentionMs }) => retentionMs / 1000,
  );
  gauge("tidegate_stream_kinesis_held", "1 while appends are held.", ({ held }) => Number(held !== null));
}
