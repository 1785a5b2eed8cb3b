import { Aedes, type AedesOptions } from "aedes";
import type { LiveSubscribers } from "../live-subscribers.ts";

type Subscribe = (filter: string, deliver: unknown, done?: () => void) => void;

/** Aedes, telling which filters connected clients listen to. */
export function createIngestAedes(options: AedesOptions, live: LiveSubscribers): Aedes {
  const aedes = new Aedes(options);
  const emitter = aedes as unknown as { subscribe: Subscribe; unsubscribe: Subscribe };
  const subscribe = emitter.subscribe.bind(aedes);
  const unsubscribe = emitter.unsubscribe.bind(aedes);
  emitter.subscribe = (filter, deliver, done) => {
    if (!filter.startsWith("$")) live.added(filter);
    subscribe(filter, deliver, done);
  };
  emitter.unsubscribe = (filter, deliver, done) => {
    if (!filter.startsWith("$")) live.removed(filter);
    unsubscribe(filter, deliver, done);
  };
  return aedes;
}
