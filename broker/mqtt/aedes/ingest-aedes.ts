import { Aedes, type AedesOptions } from "aedes";
import type { LiveSubscribers } from "../live-subscribers.ts";
import { PublishOrder } from "./publish-order.ts";

/** [MQTT-1.5.3] No text has more levels than bytes. */
const textMaxBytes = 65_535;

type Done = (error?: Error | null) => void;
type Subscribe = (filter: string, deliver: object, done?: () => void) => void;

/**
 * The parts of Aedes that are replaced here. Its types do not know `mq`, and its prototype methods may be
 * shadowed.
 */
interface Replaced {
  subscribe: Subscribe;
  unsubscribe: Subscribe;
  publish(packet: unknown, clientOrDone?: object | Done | null, done?: Done): void;
  mq: { emit(packet: unknown, done?: Done): unknown };
  maxTopicLevels: number;
}

/**
 * Aedes that reports which filters connected clients subscribe to, and that delivers in the order of
 * publishing.
 */
export function createIngestAedes(options: AedesOptions, live: LiveSubscribers): Aedes {
  const aedes = new Aedes(options);
  const replaced = aedes as unknown as Replaced;
  // Aedes closes the connection for a filter with more than 100 levels. Our lower limits judge names and
  // filters earlier, and answer such a filter with 0x80.
  replaced.maxTopicLevels = textMaxBytes;
  const subscribe = replaced.subscribe.bind(aedes);
  const unsubscribe = replaced.unsubscribe.bind(aedes);
  // Each subscription has a function of its own. Aedes removes it twice if its filter stands twice in
  // UNSUBSCRIBE.
  const counted = new WeakSet<object>();
  replaced.subscribe = (filter, deliver, done) => {
    if (!filter.startsWith("$")) {
      counted.add(deliver);
      live.added(filter);
    }
    subscribe(filter, deliver, done);
  };
  replaced.unsubscribe = (filter, deliver, done) => {
    if (counted.delete(deliver)) live.removed(filter);
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
