import { Gauge, type Registry } from "prom-client";
import type { SpaceStatus } from "./space-budget.ts";

/** Gauges of the stream's space, looked up whenever they are collected. */
export function observeSpace(space: () => SpaceStatus, registry: Registry): void {
  const gauge = (name: string, help: string, value: (status: SpaceStatus) => number): void => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(value(space()));
      },
    });
  };
  gauge(
    "tidegate_stream_retained_bytes",
    "Blocks on disk that were not trimmed yet.",
    ({ retainedBytes }) => retainedBytes,
  );
  gauge(
    "tidegate_stream_max_bytes",
    "Retained bytes above which nothing is appended.",
    ({ maxBytes }) => maxBytes,
  );
  gauge(
    "tidegate_stream_file_bytes",
    "Size of the stream's file, free room in it included.",
    ({ fileBytes }) => fileBytes,
  );
  gauge(
    "tidegate_stream_disk_free_bytes",
    "Free space on the stream's disk.",
    ({ diskFreeBytes }) => diskFreeBytes,
  );
  gauge(
    "tidegate_stream_disk_reserve_bytes",
    "Free space on its disk below which the stream does not grow.",
    ({ diskReserveBytes }) => diskReserveBytes,
  );
}
