import type { BrokerGauges } from "../../broker/ingest/ingest-metrics.ts";

/** Of a broker that nobody is connected to. */
export const quietGauges: BrokerGauges = {
  connections: () => 0,
  inFlight: () => 0,
  slowChecks: { count: 0, waiting: 0 },
};
