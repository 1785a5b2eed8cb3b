import { brokenProtocols } from "../simulation/broken-protocols.ts";
import { runSimulation } from "../simulation/run-simulation.ts";
import type { SimulationOrder } from "../simulation/simulation-process.ts";

// One run for each order, the answer in the same order.
process.on("message", (order: SimulationOrder) => {
  const { seed, variant } = order;
  const broken = brokenProtocols.find(({ name }) => name === variant);
  // Broken variants without followers draw what they always drew from their seeds.
  const options = broken?.options ?? { followersMax: 2 };
  void runSimulation({ ...options, seed }).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit());
