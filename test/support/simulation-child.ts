import { brokenProtocols } from "../simulation/broken-protocols.ts";
import { runSimulation } from "../simulation/run-simulation.ts";
import type { SimulationOrder } from "../simulation/simulation-process.ts";

// One run for each request, with results in the same order.
process.on("message", (order: SimulationOrder) => {
  const { seed, variant } = order;
  const broken = brokenProtocols.find(({ name }) => name === variant);
  // Variants draw the same values from their seeds as before followers and landing.
  const options = broken ? { landing: false, ...broken.options } : { followersMax: 2 };
  void runSimulation({ ...options, seed }).then((result) => process.send?.(result));
});
process.once("disconnect", () => process.exit());
