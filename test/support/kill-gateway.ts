import { setTimeout as delay } from "node:timers/promises";
import { type GatewayProcess, isAlive } from "./gateway-process.ts";

/** Kills all processes of a gateway, stopped ones as well; resolves once they are gone. */
export async function killGateway(gateway: GatewayProcess): Promise<void> {
  const children = [gateway.childPid("broker"), gateway.childPid("consumer")].filter((pid) => pid !== null);
  gateway.signal("SIGKILL");
  for (const pid of children) if (isAlive(pid)) process.kill(pid, "SIGKILL");
  await gateway.exited();
  while (children.some(isAlive)) await delay(10);
}

/** Stops the consumer by a signal, so that what is published from now on stays unread in the stream. */
export function stopReading(gateway: GatewayProcess): void {
  const consumer = gateway.childPid("consumer");
  if (consumer === null) throw new Error("no consumer runs");
  process.kill(consumer, "SIGSTOP");
}
