import { EventEmitter } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Acknowledgements } from "./acknowledgements.ts";
import type { DeviceClientEvents } from "./client-events.ts";
import type { DeviceClientStatus } from "./client-status.ts";
import { type DeviceClientOptions, type DeviceSettings, resolveSettings } from "./device-options.ts";
import { DeviceError } from "./errors.ts";
import { type Payload, type PublishOptions, prepareMessage } from "./message-format.ts";
import { type ConnectionEnd, connectionLost, MqttConnection } from "./mqtt-connection.ts";
import { Outbox, type OutboxObserver, openFailed } from "./outbox/outbox.ts";
import { OutboxRelay } from "./outbox/outbox-relay.ts";
import { type RejectedMessage, RejectedStore } from "./outbox/rejected-store.ts";
import { fullJitterDelayMs } from "./protocol/backoff.ts";
import { checkTopicName } from "./protocol/topic-filter.ts";
import { type PublishReceipt, Receipt } from "./publish-receipt.ts";
import { SendWindow } from "./send-window.ts";
import { Sender } from "./sender.ts";
import { type CommandHandler, Subscriptions } from "./subscriptions.ts";

const rejectedMaxMessages = 1_000;
/**
 * A connection that lasted at least this long was good: the next failure starts the back-off from the first
 * delay.
 */
const goodConnectionMs = 30_000;
const defaultDrainTimeoutMs = 5_000;

interface Parts {
  readonly settings: DeviceSettings;
  readonly outbox: Outbox;
  readonly rejected: RejectedStore;
}

/**
 * Publishes telemetry. A message that `publish` has stored survives a crash, a power cut, days without a
 * network and a gateway that is down. Only the outbox on disk resends messages.
 */
export class DeviceClient extends EventEmitter<DeviceClientEvents> {
  readonly #settings: DeviceSettings;
  readonly #outbox: Outbox;
  readonly #rejected: RejectedStore;
  readonly #sender: Sender;
  readonly #acknowledgements: Acknowledgements;
  readonly #subscriptions: Subscriptions;
  readonly #counts = { published: 0, dropped: 0, damaged: 0, connects: 0 };
  readonly #stopping = new AbortController();
  #connection: MqttConnection | null = null;
  #isConnected = false;
  #publishing = 0;
  #drained: (() => void) | null = null;
  #closing: Promise<{ remaining: number }> | null = null;
  #running: Promise<void> = Promise.resolve();

  private constructor({ settings, outbox, rejected }: Parts) {
    super();
    this.#settings = settings;
    this.#outbox = outbox;
    this.#rejected = rejected;
    this.#acknowledgements = new Acknowledgements(outbox.settledUpTo);
    this.#subscriptions = new Subscriptions((error) => this.#tell("warning", error));
    this.#sender = new Sender({
      outbox,
      rejected,
      acknowledgements: this.#acknowledgements,
      window: new SendWindow(settings.send),
      ackTimeoutMs: settings.ackTimeoutMs,
      now: settings.now,
      elapsedMs: () => performance.now(),
      observer: {
        settled: () => this.#onSettled(),
        rejected: (rejection) => this.#tell("rejected", rejection),
        warning: (error) => this.#tell("warning", error),
      },
    });
  }

  /**
   * Opens the outbox and starts to connect. Does not wait for the connection: publish at once.
   *
   * Rejects with OPTIONS_INVALID, OUTBOX_LOCKED or OUTBOX_OPEN_FAILED.
   */
  static async open(options: DeviceClientOptions): Promise<DeviceClient> {
    const settings = resolveSettings(options);
    const { folder, maxBytes } = settings.outbox;
    const relay = new OutboxRelay();
    const outbox = await Outbox.open({ ...settings.outbox, observer: relay });
    try {
      const limits = { maxMessages: rejectedMaxMessages, maxBytes: maxBytes / 4 };
      const rejected = await RejectedStore.open(join(folder, "rejected"), limits);
      const client = new DeviceClient({ settings, outbox, rejected });
      relay.target = client.#outboxObserver();
      client.#running = client.#run();
      return client;
    } catch (error) {
      await outbox.close();
      throw openFailed(folder, error);
    }
  }

  get status(): DeviceClientStatus {
    return {
      isConnected: this.#isConnected,
      messages: this.#outbox.messages,
      bytes: this.#outbox.bytes,
      inFlight: this.#sender.inFlight,
      ...this.#counts,
      ...this.#sender.counts,
    };
  }

  /**
   * Resolves when the message survives a power cut. The client then sends messages in order until the gateway
   * has acknowledged them. Payloads are copied before the call returns.
   *
   * Rejects with MESSAGE_INVALID, OUTBOX_FAILED or CLIENT_CLOSED. Also rejects with OUTBOX_FULL, OUTBOX_BUSY
   * or OUTBOX_WRITE_FAILED, after which the same call may succeed later.
   */
  async publish(topic: string, payload: Payload, options: PublishOptions = {}): Promise<PublishReceipt> {
    if (this.#closing) throw clientClosed("it accepts no more messages");
    const fault = checkTopicName(topic);
    if (fault) throw new DeviceError("MESSAGE_INVALID", `the topic name: ${fault}`, { retryable: false });
    const eventTimeMs = Number(options.eventTime ?? Math.trunc(this.#settings.now()));
    const build = prepareMessage(this.#settings.format, payload, {
      eventTimeMs,
      contentType: options.contentType,
    });
    this.#publishing += 1;
    try {
      const { sequence, id } = await this.#outbox.append(topic, build);
      this.#counts.published += 1;
      return new Receipt(Buffer.from(id).toString("hex"), sequence, this.#acknowledgements);
    } finally {
      this.#publishing -= 1;
      this.#checkDrained();
    }
  }

  /**
   * Calls the handler for each matching message, on every connection until `unsubscribe`. Example of a
   * filter: `fleet/{device}/commands`. A command is acknowledged when its handler is called.
   *
   * Resolves upon the first SUBACK; a client that starts offline may wait long for it. Rejects with
   * SUBSCRIBE_REFUSED, CLIENT_CLOSED, OPTIONS_INVALID (the filter has a handler already) or FILTER_INVALID.
   */
  async subscribe(filter: string, handler: CommandHandler, options: { qos?: 0 | 1 } = {}): Promise<void> {
    if (this.#closing) throw clientClosed("it accepts no more subscriptions");
    const { qos = 1 } = options;
    const { mqttFilter, granted } = this.#subscriptions.add(filter, handler, qos);
    if (this.#isConnected) this.#requestSubscription({ mqttFilter, qos });
    await granted;
  }

  unsubscribe(filter: string): void {
    const mqttFilter = this.#subscriptions.remove(filter);
    if (mqttFilter !== null && this.#isConnected) this.#connection?.unsubscribe(mqttFilter);
  }

  /** Messages that were given up because the gateway refused them, oldest first. */
  rejectedMessages(): AsyncIterable<RejectedMessage> {
    return this.#rejected.list();
  }

  async deleteRejectedMessage(id: string): Promise<void> {
    await this.#rejected.delete(id);
  }

  /**
   * Accepts no more messages and waits up to `drainTimeoutMs` (default 5,000) for the acknowledgements of
   * those in the outbox. Then disconnects and closes the outbox.
   *
   * Resolves with the number of messages that are left for the next client. Idempotent.
   */
  close(options: { drainTimeoutMs?: number } = {}): Promise<{ remaining: number }> {
    this.#closing ??= this.#close(options.drainTimeoutMs ?? defaultDrainTimeoutMs);
    return this.#closing;
  }

  async #close(drainTimeoutMs: number): Promise<{ remaining: number }> {
    await this.#drain(drainTimeoutMs);
    this.#stopping.abort();
    this.#connection?.end(clientClosed("it disconnected"));
    await this.#running;
    await this.#outbox.close();
    this.#acknowledgements.close(
      clientClosed("the message stays in the outbox, and the next client sends it"),
    );
    this.#subscriptions.close(clientClosed("its subscriptions have ended"));
    return { remaining: this.#outbox.messages };
  }

  async #drain(timeoutMs: number): Promise<void> {
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
    this.#checkDrained();
    const timer = setTimeout(() => this.#drained?.(), timeoutMs);
    await drained;
    clearTimeout(timer);
  }

  #onSettled(): void {
    if (this.#outbox.messages === 0) this.#tell("drained");
    this.#checkDrained();
  }

  #checkDrained(): void {
    if (this.#publishing === 0 && this.#outbox.messages === 0) this.#drained?.();
  }

  #outboxObserver(): OutboxObserver {
    return {
      stored: () => this.#sender.wake(),
      dropped: ({ messages, upTo }) => {
        this.#counts.dropped += messages;
        this.#sender.dropped(upTo, messageDropped());
        this.#tell("dropped", { messages });
      },
      damaged: ({ messages }) => {
        this.#counts.damaged += messages;
        this.#tell("damaged", { messages });
        this.#onSettled();
      },
      failed: (error) => this.#tell("failed", error),
    };
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { random, reconnect } = this.#settings;
    let failures = 0;
    while (!signal.aborted) {
      const startedAtMs = performance.now();
      const end = await this.#connectOnce();
      this.#isConnected = false;
      this.#connection = null;
      await this.#sender.ended(end);
      if (signal.aborted) return;
      const wasGood = end.wasConnected && performance.now() - startedAtMs >= goodConnectionMs;
      if (wasGood || (end.wasConnected && this.#sender.hadProgress)) failures = 0;
      const nextAttemptMs = fullJitterDelayMs(failures, reconnect, random);
      failures += 1;
      this.#tell("disconnected", { error: end.error, nextAttemptMs });
      await sleep(nextAttemptMs, undefined, { signal }).catch(() => undefined);
    }
  }

  #connectOnce(): Promise<ConnectionEnd> {
    return new Promise((resolve) => {
      try {
        const connection = new MqttConnection(this.#settings.connection, {
          connected: (sessionPresent) => this.#onConnected(connection, sessionPresent),
          ended: resolve,
          received: (message) => this.#subscriptions.deliver(message),
        });
        this.#connection = connection;
      } catch (error) {
        // mqtt.js and TLS find some faults of the options only while connecting, such as a certificate that
        // does not parse.
        resolve({ error: connectionLost(error as Error), wasConnected: false, byPeer: false });
      }
    });
  }

  #onConnected(connection: MqttConnection, sessionPresent: boolean): void {
    this.#isConnected = true;
    this.#counts.connects += 1;
    this.#tell("connected", { sessionPresent });
    for (const wanted of this.#subscriptions.wanted) this.#requestSubscription(wanted);
    this.#sender.connected(connection);
  }

  #requestSubscription({ mqttFilter, qos }: { mqttFilter: string; qos: 0 | 1 }): void {
    this.#connection?.subscribe(mqttFilter, qos, (error) => this.#subscriptions.answered(mqttFilter, error));
  }

  /**
   * Listeners run in a microtask of their own, so a listener that throws or calls the client does not disturb
   * this code.
   */
  #tell<Name extends keyof DeviceClientEvents>(name: Name, ...args: DeviceClientEvents[Name]): void {
    queueMicrotask(() => (this as EventEmitter).emit(name, ...args));
  }
}

function clientClosed(text: string): DeviceError {
  return new DeviceError("CLIENT_CLOSED", `the client is closed: ${text}`, { retryable: false });
}

function messageDropped(): DeviceError {
  return new DeviceError("MESSAGE_DROPPED", "the outbox was full and gave up its oldest messages", {
    retryable: false,
  });
}
