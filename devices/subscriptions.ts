import { DeviceError } from "./errors.ts";
import type { ReceivedMessage } from "./mqtt-connection.ts";
import { matchTopicFilter, parseTopicFilter, type TopicFilter } from "./protocol/topic-filter.ts";

/** A message that arrived for a subscription. */
export interface Command extends ReceivedMessage {
  /** The named levels of the filter, e.g. `device` for `fleet/{device}/commands`. */
  readonly captures: Readonly<Record<string, string>>;
}

export type CommandHandler = (command: Command) => void | Promise<void>;

interface Subscription {
  readonly filter: TopicFilter;
  readonly qos: 0 | 1;
  readonly handler: CommandHandler;
  /** Settles the promise of `subscribe`, once. */
  readonly granted: (error: DeviceError | null) => void;
}

/** The subscriptions of a client, requested again on each connection. */
export class Subscriptions {
  readonly #byFilter = new Map<string, Subscription>();
  readonly #warn: (error: DeviceError) => void;

  constructor(warn: (error: DeviceError) => void) {
    this.#warn = warn;
  }

  /** MQTT filters of all subscriptions, to be sent on a new connection. */
  get wanted(): readonly { mqttFilter: string; qos: 0 | 1 }[] {
    return [...this.#byFilter.entries()].map(([mqttFilter, { qos }]) => ({ mqttFilter, qos }));
  }

  /**
   * Throws FILTER_INVALID, or OPTIONS_INVALID if the filter has a handler already. `granted` resolves upon
   * the first SUBACK.
   */
  add(text: string, handler: CommandHandler, qos: 0 | 1): { mqttFilter: string; granted: Promise<void> } {
    const filter = parseTopicFilter(text);
    if (this.#byFilter.has(filter.mqttFilter))
      throw new DeviceError("OPTIONS_INVALID", `${filter.mqttFilter} has a handler: unsubscribe first`, {
        retryable: false,
      });
    const granted = new Promise<void>((resolve, reject) => {
      const settle = (error: DeviceError | null) => (error ? reject(error) : resolve());
      this.#byFilter.set(filter.mqttFilter, { filter, qos, handler, granted: settle });
    });
    granted.catch(() => undefined);
    return { mqttFilter: filter.mqttFilter, granted };
  }

  /** Returns the MQTT filter to unsubscribe from, or null if there is no such subscription. */
  remove(text: string): string | null {
    const { mqttFilter } = parseTopicFilter(text);
    const subscription = this.#byFilter.get(mqttFilter);
    subscription?.granted(
      new DeviceError("SUBSCRIBE_REFUSED", `unsubscribed from ${text}`, { retryable: false }),
    );
    return this.#byFilter.delete(mqttFilter) ? mqttFilter : null;
  }

  /**
   * The broker's answer. A refusal after the first grant is reported as a warning; the next connection asks
   * again.
   */
  answered(mqttFilter: string, error: DeviceError | null): void {
    const subscription = this.#byFilter.get(mqttFilter);
    if (!subscription) return;
    if (error) this.#warn(error);
    subscription.granted(error);
  }

  deliver(message: ReceivedMessage): void {
    for (const { filter, handler } of this.#byFilter.values()) {
      const captures = matchTopicFilter(filter, message.topic);
      if (captures) this.#call(handler, { ...message, captures });
    }
  }

  #call(handler: CommandHandler, command: Command): void {
    const report = (cause: unknown) =>
      this.#warn(
        new DeviceError("HANDLER_FAILED", `the handler of ${command.topic} threw: ${cause}`, {
          retryable: false,
          cause,
        }),
      );
    try {
      Promise.resolve(handler(command)).catch(report);
    } catch (error) {
      report(error);
    }
  }

  close(error: DeviceError): void {
    for (const subscription of this.#byFilter.values()) subscription.granted(error);
    this.#byFilter.clear();
  }
}
