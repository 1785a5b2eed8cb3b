import type { RoleName } from "../supervisor/messages.ts";
import type { StartRole } from "../supervisor/run-child.ts";
import { startBroker } from "./start-broker.ts";
import { startConsumer } from "./start-consumer.ts";

/** The composition root: what each process is made of. */
export const startRole: Readonly<Record<RoleName, StartRole>> = {
  broker: startBroker,
  consumer: startConsumer,
};
