import { Aedes, type AedesOptions } from "aedes";
import type { LiveSubscribers } from "../live-subscribers.ts";
import type { PacedWork } from "./paced-work.ts";
import { PublishOrder } from "./publish-order.ts";

/** [MQTT-1.5.3] No text has more levels than bytes. */
const textMaxBytes = 65_535;

type Done = (error?: Error | null) => void;
type Deliver = (packet: unknown, done: () => void) => void;
type Subscribe = (filter: string, deliver: Deliver, done?: () => void) => void;

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
export function createIngestAedes(options: AedesOptions, live: LiveSubscribers, removals: PacedWork): Aedes {
  const aedes = new Aedes(options);
  const replaced = aedes as unknown as Replaced;
  // Aedes closes the connection for a filter with more than 100 levels. Our lower limits judge names and
  // filters earlier, and answer such a filter with 0x80.
  replaced.maxTopicLevels = textMaxBytes;
  subscribeInTurns(replaced, live, removals);
  publishInOrder(replaced);
  return aedes;
}

/**
 * A subscription that ends delivers nothing from that moment on. Its place in the matchers goes when its turn
 * comes: all filters of a client end at once.
 */
function subscribeInTurns(replaced: Replaced, live: LiveSubscribers, removals: PacedWork): void {
  const subscribe = replaced.subscribe.bind(replaced);
  const unsubscribe = replaced.unsubscribe.bind(replaced);
  // Each subscription has a function of its own. Aedes removes it twice if its filter stands twice in
  // UNSUBSCRIBE.
  const heard = new WeakMap<Deliver, Deliver>();
  replaced.subscribe = (filter, deliver, done) => {
    const hear: Deliver = (packet, heardIt) => {
      if (heard.has(deliver)) deliver(packet, heardIt);
      else heardIt();
    };
    heard.set(deliver, hear);
    if (isLive(filter)) live.added(filter);
    subscribe(filter, hear, done);
  };
  replaced.unsubscribe = (filter, deliver, done = () => {}) => {
    const hear = heard.get(deliver);
    if (hear && heard.delete(deliver))
      removals.add(() => {
        if (isLive(filter)) live.removed(filter);
        unsubscribe(filter, hear);
      });
    setImmediate(done);
  };
}

/** Telemetry has no names that begin with $. */
function isLive(filter: string): boolean {
  return !filter.startsWith("$");
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
