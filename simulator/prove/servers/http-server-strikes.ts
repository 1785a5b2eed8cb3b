import { setTimeout as delay } from "node:timers/promises";
import type { CallFault } from "../fault-proxies/call-faults.ts";
import type { HttpFaultProxy, InjectedFault } from "../fault-proxies/http-fault-proxy.ts";
import type { Strike, StrikeEffect } from "../strike.ts";
import type { ServerProcess } from "./server-process.ts";

/** Extra time of a fault that has met no call yet. */
const patienceMs = 30_000;
const pollMs = 25;

/**
 * Strikes a server that speaks HTTP, and the calls to it. null = the fault is not one that all such servers
 * know.
 *
 * @param callFaults The faults of calls that this server knows.
 */
export async function strikeHttpServer(
  { server, proxy }: { readonly server: ServerProcess; readonly proxy: HttpFaultProxy },
  callFaults: Readonly<Partial<Record<string, CallFault>>>,
  { fault, pauseMs, absenceMs }: Pick<Strike, "fault" | "pauseMs" | "absenceMs">,
): Promise<StrikeEffect | null> {
  switch (fault) {
    case "kill":
      await server.kill();
      await delay(absenceMs);
      await server.start();
      return null;
    case "pause":
      server.signal("SIGSTOP");
      await delay(pauseMs);
      server.signal("SIGCONT");
      return null;
    case "cut":
      proxy.cut();
      return null;
    case "silence":
      await proxy.silence(pauseMs);
      return null;
    case "down":
      await proxy.down();
      await delay(pauseMs);
      await proxy.up();
      return null;
    default: {
      const callFault = callFaults[fault];
      if (!callFault) throw new TypeError(`this server knows no ${fault}`);
      return spoil(proxy.inject(callFault.fault, callFault.options), pauseMs);
    }
  }
}

/** Lets a fault work for that long, and until a call has met it; resolves with how many did. */
export async function spoil(injected: InjectedFault, forMs: number): Promise<StrikeEffect> {
  await delay(forMs);
  for (let waitedMs = 0; injected.struck === 0 && waitedMs < patienceMs; waitedMs += pollMs)
    await delay(pollMs);
  injected.remove();
  return { calls: injected.struck };
}
