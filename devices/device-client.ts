import { EventEmitter } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Acknowledgements } from "./acknowledgements.ts";
import { type DeviceClientOptions, type DeviceSettings, resolveSettings } from "./device-options.ts";
import { DeviceError } from "./errors.ts";
import { type Payload, type PublishOptions, prepareMessage } from "./message-format.ts";
import { type ConnectionEnd, connectionLost, MqttConnection } from "./mqtt-connection.ts";
import { Outbox, type OutboxObserver, openFailed } from "./outbox/outbox.ts";
import { type RejectedMessage, RejectedStore } from "./outbox/rejected-store.ts";
import { fullJitterDelayMs } from "./protocol/backoff.ts";
import { checkTopicName } from "./protocol/topic-filter.ts";
import { SendWindow } from "./send-window.ts";
import { Sender } from "./sender.ts";
import { type CommandHandler, Subscriptions } from "./subscriptions.ts";

/** A message that is durable in the outbox. */
export interface PublishReceipt {
  /** 32 hexadecimal digits; never used for another message. */
  readonly id: string;
  /**
   * Resolves when the gateway has acknowledged the message. Rejects with MESSAGE_REJECTED, MESSAGE_DROPPED or MESSAGE_DAMAGED where it
   * is given up, and with CLIENT_CLOSED where the client is closed before: the message then waits in the outbox for the next one.
   * Made when it is first read. Nobody has to look at it.
   */
  readonly acknowledged: Promise<void>;
}

export interface DeviceClientEvents {
  connected: [{ sessionPresent: boolean }];
  /** The connection ended or could not be made; the next attempt starts after `nextAttemptMs`. */
  disconnected: [{ error: DeviceError; nextAttemptMs: number }];
  /** Everything that was published is acknowledged or given up. */
  drained: [];
  /** The gateway closed the connection on this message 5 times in a row; it is in the rejected store, which forgot `forgotten` older ones. */
  rejected: [RejectedMessage & { forgotten: number }];
  /** The outbox was full and gave up its oldest messages (`drop-oldest`). */
  dropped: [{ messages: number }];
  /** Messages in the outbox could not be read back. */
  damaged: [{ messages: number }];
  /** The outbox can take nothing any more (OUTBOX_FAILED): close the client and open it again. */
  failed: [DeviceError];
  /** Something went wrong that needs no action of the program: SUBSCRIBE_REFUSED, HANDLER_FAILED, OUTBOX_WRITE_FAILED. */
  warning: [DeviceError];
}

export interface DeviceClientStatus {
  readonly isConnected: boolean;
  /** Messages in the outbox, and their bytes on disk. */
  readonly messages: number;
  readonly bytes: number;
  readonly inFlight: number;
  /** Since `open`: */
  readonly published: number;
  readonly acknowledged: number;
  readonly resent: number;
  readonly rejected: number;
  readonly dropped: number;
  readonly damaged: number;
  readonly connects: number;
}

const rejectedMaxMessages = 1_000;
/** A connection that lasted so long was a good one: the next failure starts the back-off anew. */
const goodConnectionMs = 30_000;
const defaultDrainTimeoutMs = 5_000;

interface Parts {
  readonly settings: DeviceSettings;
  readonly outbox: Outbox;
  readonly rejected: RejectedStore;
}

/**
 * Publishes telemetry so that nothing that `publish` has taken is lost: not by a crash, a power cut, days without a network, or a
 * gateway that is down. The outbox on disk is the only owner of resends.
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
   * Resolves once the message survives a power cut; it is then sent, in order, until the gateway has acknowledged it.
   * Rejects with MESSAGE_INVALID, OUTBOX_FAILED or CLIENT_CLOSED; or with OUTBOX_FULL, OUTBOX_BUSY or OUTBOX_WRITE_FAILED,
   * after which the same call may succeed later. Payloads are copied before it returns.
   */
  async publish(topic: string, payload: Payload, options: PublishOptions = {}): Promise<PublishReceipt> {
    if (this.#closing) throw clientClosed("nothing is taken any more");
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
   * Calls the handler for each message that matches, e.g. `fleet/{device}/commands`; on every connection until `unsubscribe`.
   * A command is acknowledged when its handler is called. Resolves upon the first SUBACK, which may be long after a start offline;
   * rejects with SUBSCRIBE_REFUSED, CLIENT_CLOSED, OPTIONS_INVALID (there is a handler already) or FILTER_INVALID.
   */
  async subscribe(filter: string, handler: CommandHandler, options: { qos?: 0 | 1 } = {}): Promise<void> {
    if (this.#closing) throw clientClosed("no subscription is made any more");
    const { qos = 1 } = options;
    const { mqttFilter, granted } = this.#subscriptions.add(filter, handler, qos);
    if (this.#isConnected) this.#requestSubscription({ mqttFilter, qos });
    await granted;
  }

  unsubscribe(filter: string): void {
    const mqttFilter = this.#subscriptions.remove(filter);
    if (mqttFilter !== null && this.#isConnected) this.#connection?.unsubscribe(mqttFilter);
  }

  /** Messages that were given up because the gateway would not take them, oldest first. */
  rejectedMessages(): AsyncIterable<RejectedMessage> {
    return this.#rejected.list();
  }

  async deleteRejectedMessage(id: string): Promise<void> {
    await this.#rejected.delete(id);
  }

  /**
   * Takes no more messages, tries for `drainTimeoutMs` (default 5,000) to get those in the outbox acknowledged, disconnects and closes
   * the outbox. Resolves with how many messages are left for the next client that opens it. Idempotent.
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
    this.#acknowledgements.close(clientClosed("the message stays in the outbox, the next client sends it"));
    this.#subscriptions.close(clientClosed("there are no subscriptions any more"));
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
        // What mqtt.js or TLS make of the options only while connecting, such as a certificate that does not parse.
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

  /** Listeners run on their own: what they throw, or call, does not reach into what is under way here. */
  #tell<Name extends keyof DeviceClientEvents>(name: Name, ...args: DeviceClientEvents[Name]): void {
    queueMicrotask(() => (this as EventEmitter).emit(name, ...args));
  }
}

/** The outbox is opened before the client that it reports to exists. */
class OutboxRelay implements OutboxObserver {
  target: OutboxObserver | null = null;

  stored(): void {
    this.target?.stored();
  }

  dropped(drop: { messages: number; upTo: number }): void {
    this.target?.dropped(drop);
  }

  damaged(damage: { messages: number }): void {
    this.target?.damaged(damage);
  }

  failed(error: DeviceError): void {
    this.target?.failed(error);
  }
}

class Receipt implements PublishReceipt {
  readonly id: string;
  readonly #sequence: number;
  readonly #acknowledgements: Acknowledgements;

  constructor(id: string, sequence: number, acknowledgements: Acknowledgements) {
    this.id = id;
    this.#sequence = sequence;
    this.#acknowledgements = acknowledgements;
  }

  get acknowledged(): Promise<void> {
    return this.#acknowledgements.of(this.#sequence);
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
