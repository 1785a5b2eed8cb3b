import { setTimeout as delay } from "node:timers/promises";
import { roleNames } from "../../gateway/processes/messages.ts";
import { type GatewayProcess, isAlive } from "./gateway-process.ts";

/** Kills all processes of a gateway, stopped ones as well; resolves once they have ended. */
export async function killGateway(gateway: GatewayProcess): Promise<void> {
  const children = roleNames.map((role) => gateway.childPid(role)).filter((pid) => pid !== null);
  gateway.signal("SIGKILL");
  for (const pid of children) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await gateway.exited();
  while (children.some(isAlive)) await delay(10);
}

/** Stops the consumer by a signal, so that later messages stay unread in the stream. */
export function stopReading(gateway: GatewayProcess): void {
  const consumer = gateway.childPid("consumer");
  if (consumer === null) throw new Error("no consumer runs");
  process.kill(consumer, "SIGSTOP");
}
