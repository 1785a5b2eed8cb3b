import { Aedes, type AedesOptions } from "aedes";
import type { LiveSubscribers } from "../live-subscribers.ts";
import { PublishOrder } from "./publish-order.ts";

type Done = (error?: Error | null) => void;
type Subscribe = (filter: string, deliver: unknown, done?: () => void) => void;

/** What of Aedes is replaced here; its types know no `mq`, and its prototype methods may be shadowed. */
interface Replaced {
  subscribe: Subscribe;
  unsubscribe: Subscribe;
  publish(packet: unknown, clientOrDone?: object | Done | null, done?: Done): void;
  mq: { emit(packet: unknown, done?: Done): unknown };
}

/** Aedes, telling which filters connected clients listen to, and delivering in the order of publishing. */
export function createIngestAedes(options: AedesOptions, live: LiveSubscribers): Aedes {
  const aedes = new Aedes(options);
  const replaced = aedes as unknown as Replaced;
  const subscribe = replaced.subscribe.bind(aedes);
  const unsubscribe = replaced.unsubscribe.bind(aedes);
  replaced.subscribe = (filter, deliver, done) => {
    if (!filter.startsWith("$")) live.added(filter);
    subscribe(filter, deliver, done);
  };
  replaced.unsubscribe = (filter, deliver, done) => {
    if (!filter.startsWith("$")) live.removed(filter);
    unsubscribe(filter, deliver, done);
  };
  publishInOrder(replaced);
  return aedes;
}

function publishInOrder(replaced: Replaced): void {
  const order = new PublishOrder();
  const publish = replaced.publish.bind(replaced);
  const emit = replaced.mq.emit.bind(replaced.mq);
  replaced.publish = (packet, clientOrDone, done) => {
    const isDone = typeof clientOrDone === "function";
    const client = isDone ? null : (clientOrDone ?? null);
    order.enter((left) => publish(packet, client, left), isDone ? (clientOrDone as Done) : done);
  };
  replaced.mq.emit = (packet, done) => {
    const result = emit(packet, done);
    order.delivered();
    return result;
  };
}
