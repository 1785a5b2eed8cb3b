import { brokenProtocols } from "../simulation/broken-protocols.ts";
import { runSimulation } from "../simulation/run-simulation.ts";
import type { SimulationOrder } from "../simulation/simulation-process.ts";

// One run for each order, the answer in the same order.
process.on("message", (order: SimulationOrder) => {
  const { seed, variant } = order;
  const broken = brokenProtocols.find(({ name }) => name === variant);
  void runSimulation({ ...broken?.options, seed }).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit());
