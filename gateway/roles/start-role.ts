import type { RoleName } from "../supervisor/messages.ts";
import type { StartRole } from "../supervisor/run-child.ts";

/** The composition root: what each process is made of, and loads. */
export const startRole: Readonly<Record<RoleName, StartRole>> = {
  broker: async (context) => (await import("./start-broker.ts")).startBroker(context),
  consumer: async (context) => (await import("./start-consumer.ts")).startConsumer(context),
};
