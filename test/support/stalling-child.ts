import { execFileSync } from "node:child_process";
import { beatEventLoop } from "../../gateway/processes/event-loop-beat.ts";

// Its event loop runs until a message makes it stand still.
const watched = beatEventLoop({ role: "consumer", silenceMs: 1_000, tell: async () => {}, failed: () => {} });

function countForEver(): void {
  for (let count = 0; ; count++) if (count < 0) return;
}

function waitInSystem(): void {
  execFileSync("sleep", ["20"]);
}

process.on("message", async (how) => {
  await watched;
  if (how === "count") countForEver();
  else waitInSystem();
});
