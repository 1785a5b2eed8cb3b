import type { TablePublisher } from "../../bridge/lake/table-publishing.ts";

/** A publisher without faults. */
export function publisherOf(publishPending: TablePublisher["publishPending"]): TablePublisher {
  return { publishPending, isRetryDue: () => false, troubles: () => ({ parked: [], unkempt: [] }) };
}
