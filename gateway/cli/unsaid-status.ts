import { noCounters } from "../../bridge/lake/index.ts";
import type { ConsumerProcessStatus, GatewayStatus } from "../status/gateway-status.ts";

const unsaid: Pick<GatewayStatus, "progress" | "degraded" | "waiting"> = {
  progress: [],
  degraded: [],
  waiting: null,
};
const unsaidOfConsumer: Pick<ConsumerProcessStatus, "recovery" | "past" | "tables" | "eventTimesOutside"> = {
  recovery: null,
  past: { partitions: 0, counters: noCounters },
  tables: { parked: [], unkempt: [] },
  eventTimesOutside: [],
};

/** Adds the fields that a gateway that was not restarted since an upgrade does not send. */
export function withUnsaid(answer: GatewayStatus): GatewayStatus {
  const { consumer } = answer;
  return { ...unsaid, ...answer, consumer: consumer && { ...unsaidOfConsumer, ...consumer } };
}
