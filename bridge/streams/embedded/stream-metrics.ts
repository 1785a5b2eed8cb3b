import type { Registry } from "prom-client";
import { statusGauges } from "../status-gauges.ts";
import type { SpaceStatus } from "./space-budget.ts";

/** Registers gauges of the stream's space; their values are read at each collection. */
export function observeSpace(space: () => SpaceStatus, registry: Registry): void {
  const gauge = statusGauges(registry, space);
  gauge(
    "tidegate_stream_retained_bytes",
    "Blocks on disk that are not trimmed.",
    ({ retainedBytes }) => retainedBytes,
  );
  gauge(
    "tidegate_stream_max_bytes",
    "Retained bytes above which appends are held.",
    ({ maxBytes }) => maxBytes,
  );
  gauge(
    "tidegate_stream_file_bytes",
    "Size of the stream's file, free pages included.",
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
