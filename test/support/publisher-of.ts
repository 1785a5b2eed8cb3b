import type { TablePublisher } from "../../bridge/storage/seed-source.ts";

/** A publisher without troubles of its own. */
export function publisherOf(publishPending: TablePublisher["publishPending"]): TablePublisher {
  return { publishPending, isRetryDue: () => false, troubles: () => ({ parked: [], unkempt: [] }) };
}
