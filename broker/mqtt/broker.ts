import type { Aedes } from "aedes";
import type { Registry } from "prom-client";
import { retainedMax } from "../client-limits.ts";
import type { BrokerConfig } from "../config.ts";
import type { IngestCore, IngestStatus, RefusalFields, Refuse } from "../ingest/index.ts";
import { type AedesClient, checkAedesVersion, refusedClientOf } from "./aedes/aedes-client.ts";
import { createIngestAedes } from "./aedes/ingest-aedes.ts";
import { filtersPerTurn, PacedWork } from "./aedes/paced-work.ts";
import { type SessionBounds, SessionQueues } from "./aedes/session-queues.ts";
import { SessionSubscriptions } from "./aedes/session-subscriptions.ts";
import { AedesHooks } from "./aedes-hooks.ts";
import { checkAnonymousListener } from "./anonymous-listener.ts";
import { Connection } from "./connection.ts";
import { Listener } from "./listener.ts";
import { LiveSubscribers } from "./live-subscribers.ts";
import { MqttMetrics } from "./mqtt-metrics.ts";
import { type MqttRefusalCode, mqttRefusals } from "./mqtt-refusals.ts";
import { PacedCloses } from "./paced-closes.ts";
import { ReceivedIdsOfSessions } from "./received-ids.ts";
import type { Session, SessionContext } from "./session.ts";
import { SessionSweep } from "./session-sweep.ts";

export interface BrokerOptions {
  readonly config: BrokerConfig;
  /** Closed by its owner, after the broker has stopped. */
  readonly ingest: IngestCore;
  readonly registry: Registry;
  /** ms on a monotonic clock: only differences between two moments are measured. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The core's numbers and those of MQTT. */
export interface BrokerStatus extends IngestStatus {
  readonly connections: number;
  readonly pausedConnections: number;
  /**
   * The part of `acknowledged` that repeats the PUBREC of a message that was appended before. Each other
   * acknowledgement stands for an append.
   */
  readonly repeated: number;
  /** Plain messages that did not fit into queues of sessions, and retained messages that were not kept. */
  readonly sessionDropped: number;
  readonly retainedDropped: number;
}

/**
 * MQTT 3.1.1 for devices. A QoS 1 or 2 message is acknowledged only after the sink says that it is durable
 * (G1), in the order of arrival. If a message cannot become durable in time, its connection is closed without
 * an acknowledgement, and the device sends the message again.
 */
export class Broker {
  readonly #config: BrokerConfig;
  readonly #ingest: IngestCore;
  readonly #metrics: MqttMetrics;
  readonly #refuse: Refuse<MqttRefusalCode>;
  readonly #aedes: Aedes;
  readonly #listener: Listener;
  readonly #hooks: AedesHooks;
  readonly #paused = new Set<Session>();
  readonly #pacedCloses: PacedCloses;
  readonly #sweep: SessionSweep;

  constructor(options: BrokerOptions) {
    const { config, ingest, registry } = options;
    const now = options.now ?? (() => performance.now());
    checkAnonymousListener(config.host, config.anonymous);
    this.#config = config;
    this.#ingest = ingest;
    this.#metrics = new MqttMetrics(registry, { connections: () => this.#listener.connections });
    this.#refuse = ingest.declareRefusals(mqttRefusals);
    this.#pacedCloses = new PacedCloses({
      perSecond: config.closesPerSecond,
      random: options.random ?? Math.random,
    });
    const live = new LiveSubscribers({
      publish: (packet) => this.#aedes.publish(packet, ignoreDelivery),
      metrics: this.#metrics,
    });
    ingest.showTo(live);
    const context: SessionContext = {
      config,
      metrics: this.#metrics,
      refuse: this.#refuse,
      pacedCloses: this.#pacedCloses,
      now,
      paused: this.#paused,
    };
    const receivedIds = new ReceivedIdsOfSessions({ sessionsMax: config.maxConnections });
    const queues = new SessionQueues(sessionBoundsOf(config), this.#metrics);
    const removals = new PacedWork(filtersPerTurn);
    const kept = new SessionSubscriptions(queues.persistence, {
      live,
      granted: () => this.#hooks.granted,
      isResumed: (clientId) => receivedIds.isResumed(clientId),
      removals,
      sessionsMax: config.maxConnections,
    });
    this.#hooks = new AedesHooks(context, { ingest, receivedIds, kept });
    this.#aedes = this.#createAedes(queues, live, removals);
    this.#hooks.watch(this.#aedes);
    this.#sweep = new SessionSweep({ paused: this.#paused, now });
    ingest.onRoom(() => this.#sweep.resumeAll());
    this.#listener = this.#createListener(now);
  }

  /** Resolves with the address. Throws MQTT_ADDRESS_UNUSABLE. */
  async listen(): Promise<{ host: string; port: number }> {
    await this.#aedes.listen();
    this.#sweep.start();
    try {
      return await this.#listener.listen();
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /**
   * Accepts no more connections, waits a bounded time for held messages to settle, acknowledges them, and
   * closes all connections.
   */
  async stop(): Promise<void> {
    this.#listener.close();
    this.#hooks.stopReading();
    await this.#ingest.drain(this.#config.stopTimeoutMs);
    this.#sweep.stop();
    this.#pacedCloses.stop();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    this.#listener.destroyAll();
  }

  status(): BrokerStatus {
    return {
      ...this.#ingest.status(),
      connections: this.#listener.connections,
      pausedConnections: this.#paused.size,
      repeated: this.#metrics.repeated,
      sessionDropped: this.#metrics.sessionDropped,
      retainedDropped: this.#metrics.retainedDropped,
    };
  }

  #createAedes(queues: SessionQueues, live: LiveSubscribers, removals: PacedWork): Aedes {
    const { connectTimeoutMs, clientIdMaxBytes, drainTimeoutMs } = this.#config;
    const aedes = createIngestAedes(
      {
        // 0 = no limit: with a limit, a subscriber that stops reading blocks the delivery to all others.
        concurrency: 0,
        connectTimeout: connectTimeoutMs,
        // Aedes applies its own limit only to MQTT 3.1, and refuses silently. Our limit applies to both
        // versions.
        maxClientsIdLength: clientIdMaxBytes,
        drainTimeout: drainTimeoutMs,
        persistence: queues.persistence,
        ...this.#hooks.handlers(),
      },
      live,
      removals,
    );
    checkAedesVersion(aedes);
    return aedes;
  }

  #createListener(now: () => number): Listener {
    const { host, port, maxConnections, acceptPerSecond } = this.#config;
    return new Listener({
      host,
      port,
      maxConnections,
      acceptPerSecond,
      now,
      accept: (socket) => this.#accept(this.#aedes.handle(socket) as unknown as AedesClient),
      refused: (socket, excess) => {
        const who = { client: "", address: socket.remoteAddress ?? "" };
        this.#refuse("connection-limit", who, excess);
      },
    });
  }

  #accept(client: AedesClient): void {
    // A socket keeps its peer's address after its end only if it was asked for it before.
    void client.conn.remoteAddress;
    new Connection(client, {
      config: this.#config,
      session: (connected) => this.#hooks.sessionOf(connected),
      refuse: (refused, code, fields) => this.#close(refused, code, fields),
      publishWill: (will) => this.#aedes.publish({ cmd: "publish", dup: false, ...will }, ignoreDelivery),
      leave: (left, packet) => this.#ingest.untaken(refusedClientOf(left), packet),
    });
  }

  #close(client: AedesClient, code: MqttRefusalCode, fields: RefusalFields): void {
    this.#refuse(code, refusedClientOf(client), fields);
    client.close();
  }
}

function sessionBoundsOf(config: BrokerConfig): SessionBounds {
  return {
    messagesMax: config.sessionQueueMax,
    bytesMax: config.sessionsQueueMaxBytes,
    retainedMax: retainedMax,
  };
}

/** A failed delivery concerns only the subscriber: Aedes closes its connection. */
function ignoreDelivery(): void {}

export function createBroker(options: BrokerOptions): Broker {
  return new Broker(options);
}
