import type { ObjectStore, StoredObject } from "../../bridge/lake/stores/object-store.ts";
import {
  type DedupWindow,
  dedupKeyBytes,
  type ExactIds,
  exactEpochBytes,
  type WindowEntries,
} from "../../bridge/lake/window/dedup-window.ts";
import { columnsPart, copyColumns, windowColumns } from "../../bridge/lake/window/window-columns.ts";
import type { StreamLog } from "../../bridge/streams/stream-log.ts";
import type { Process, Scheduler } from "./scheduler.ts";
import { WindowServer } from "./window-server.ts";

/** Ids that one step adds to a window on a server. */
const appliedIdsMax = 3;

/** The store of one process; the scheduler decides when each call takes effect. */
export function gatedStore(scheduler: Scheduler, process: Process, store: ObjectStore): ObjectStore {
  const call = <Result>(name: string, path: string, effect: () => Promise<Result>) =>
    scheduler.call(process, `${name} ${path}`, effect);
  return {
    url: store.url,
    stagingFolder: "/nowhere",
    get: (path) => call("get", path, () => store.get(path)),
    put: (path, bytes) => call("put", path, () => store.put(path, bytes)),
    putIfAbsent: (path, bytes) => call("putIfAbsent", path, () => store.putIfAbsent(path, bytes)),
    importFile: (file, path) => call("importFile", path, () => store.importFile(file, path)),
    copyMaxBytes: store.copyMaxBytes,
    localCopies: (paths) => store.localCopies(paths),
    removeLeftovers: async () => 0,
    async *list(prefix, options) {
      yield* await call("list", prefix, async () => {
        const found: StoredObject[] = [];
        for await (const object of store.list(prefix, options)) found.push(object);
        return found;
      });
    },
    delete: (path) => call("delete", path, () => store.delete(path)),
    now: () => call("now", "", () => store.now()),
    freeBytes: async () => null,
  };
}

/**
 * The same for a process that reads a table's log in one step, because single steps would be most of a run.
 */
export function gatedVacuumStore(scheduler: Scheduler, process: Process, store: ObjectStore): ObjectStore {
  const isOfTable = (path: string) => path.includes("/_delta_log/");
  const gated = gatedStore(scheduler, process, store);
  return {
    ...gated,
    get: (path) => (isOfTable(path) ? store : gated).get(path),
    list: (prefix, options) => (isOfTable(prefix) ? store : gated).list(prefix, options),
  };
}

export function gatedStream(scheduler: Scheduler, process: Process, stream: StreamLog): StreamLog {
  const call = <Result>(name: string, effect: () => Promise<Result>) => scheduler.call(process, name, effect);
  return {
    streamId: stream.streamId,
    ...(stream.retentionMs !== undefined && { retentionMs: stream.retentionMs }),
    get partitions() {
      return stream.partitions;
    },
    onPartitionsChange: (listener) => stream.onPartitionsChange(listener),
    refreshPartitions: () => call("refresh partitions", () => stream.refreshPartitions()),
    append: () => Promise.reject(new Error("a consumer does not append")),
    read: (partition, after, limits) =>
      call(`read ${partition} after ${Number(after)}`, () => stream.read(partition, after, limits)),
    waitForAppend: () => call("wait", async () => {}),
    trim: (partition, upTo) =>
      call(`trim ${partition} to ${Number(upTo)}`, () => stream.trim(partition, upTo)),
    partitionState: (partition) => stream.partitionState(partition),
    comparePositions: (left, right) => stream.comparePositions(left, right),
    close: async () => {},
  };
}

export function gatedWindow(scheduler: Scheduler, process: Process, window: DedupWindow): DedupWindow {
  const call = <Result>(name: string, effect: () => Promise<Result>) => scheduler.call(process, name, effect);
  let appliesStarted = 0;
  return {
    applied: (partition, committed) =>
      call(`applied ${partition}`, () => window.applied(partition, committed)),
    lookup: (partition, applied, keys, exact) =>
      call(`lookup ${partition} at ${Number(applied)}`, () => window.lookup(partition, applied, keys, exact)),
    apply: async (partition, step, entries) => {
      const name = `apply ${partition} ${Number(step.from)} to ${Number(step.to)}`;
      const length = Math.max(entries.length, entries.exact?.length ?? 0);
      const copy = partOf(entries, 0, length);
      if (!(window instanceof WindowServer)) return call(name, () => window.apply(partition, step, copy));
      const token = `${process.name} ${++appliesStarted}`;
      for (let index = 0, start = 0; ; index++, start += appliedIdsMax) {
        const isLast = start + appliedIdsMax >= length;
        const ids = partOf(copy, start, start + appliedIdsMax);
        const part = { token, index, isLast };
        const isTaken = await call(`${name} part ${index}`, () =>
          window.applyPart(partition, step, part, ids),
        );
        if (!isTaken || isLast) return isTaken;
      }
    },
    beginSeed: (partition, token) =>
      call(`beginSeed ${partition}`, () => window.beginSeed(partition, `${process.name} ${token}`)),
    seed: (partition, token, chunk, entries) =>
      call(`seed ${partition}`, () => window.seed(partition, `${process.name} ${token}`, chunk, entries)),
    endSeed: (partition, token, end) =>
      call(`endSeed ${partition} at ${Number(end.applied)}`, () =>
        window.endSeed(partition, `${process.name} ${token}`, end),
      ),
    forget: (partition) => call(`forget ${partition}`, () => window.forget(partition)),
    idle: (partition, nowMs) => window.idle?.(partition, nowMs),
    status: () => window.status(),
    close: async () => {},
  };
}

/** A copy, because ids that are applied in steps must not change meanwhile. */
function partOf(entries: WindowEntries, start: number, end: number): WindowEntries {
  const { exact } = entries;
  const from = Math.min(start, entries.length);
  const part = columnsPart(entries, from, Math.min(end, entries.length));
  const columns = windowColumns(part.length);
  copyColumns(columns, part);
  return { length: part.length, ...columns, ...(exact && { exact: exactPartOf(exact, start, end) }) };
}

function exactPartOf(exact: ExactIds, start: number, end: number): ExactIds {
  return {
    length: Math.max(0, Math.min(end, exact.length) - start),
    deviceKeys: exact.deviceKeys.slice(start * dedupKeyBytes, end * dedupKeyBytes),
    epochs: exact.epochs.slice(start * exactEpochBytes, end * exactEpochBytes),
    sequences: exact.sequences.slice(start, end),
    seenAtSeconds: exact.seenAtSeconds.slice(start, end),
  };
}
