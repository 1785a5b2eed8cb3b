import type { RoleName } from "../processes/messages.ts";
import type { StartRole } from "../processes/run-child.ts";

/** The composition root: the parts of each process. */
export const startRole: Readonly<Record<RoleName, StartRole>> = {
  broker: async (context) => (await import("./start-broker.ts")).startBroker(context),
  consumer: async (context) => (await import("./start-consumer.ts")).startConsumer(context),
  upkeep: async (context) => (await import("./start-upkeep.ts")).startUpkeep(context),
};
