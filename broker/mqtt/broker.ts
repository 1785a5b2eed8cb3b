import type { Aedes } from "aedes";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import type { BrokerConfig } from "../config.ts";
import { type Admission, alwaysOpen } from "../ingest/admission.ts";
import { Authentication, checkAnonymousListener } from "../ingest/authentication.ts";
import type { DeviceRegistry, Identity } from "../ingest/device-registry.ts";
import { BrokerMetrics } from "../ingest/ingest-metrics.ts";
import type { PublishSink } from "../ingest/publish-sink.ts";
import type { RefusalReason } from "../ingest/refusal.ts";
import { type RefusalFields, RefusalLog } from "../ingest/refusal-log.ts";
import { SlowChecks } from "../ingest/slow-checks.ts";
import type { TopicRegistry } from "../ingest/topic-registry.ts";
import { TopicRules } from "../ingest/topic-rules.ts";
import { type AedesClient, checkAedesVersion, refusedClientOf } from "./aedes/aedes-client.ts";
import { AedesHooks } from "./aedes/aedes-hooks.ts";
import { createIngestAedes } from "./aedes/ingest-aedes.ts";
import { type SessionBounds, SessionQueues } from "./aedes/session-queues.ts";
import { Connection } from "./connection.ts";
import { Listener } from "./listener.ts";
import { LiveSubscribers } from "./live-subscribers.ts";
import { PacedCloses } from "./paced-closes.ts";
import { ReceivedIdsOfSessions } from "./received-ids.ts";
import type { Session, SessionContext } from "./session.ts";
import { SessionSweep } from "./session-sweep.ts";

/** Topic names with a retained message; only plain publish/subscribe has them. */
const RETAINED_MAX = 10_000;

export interface BrokerOptions {
  readonly config: BrokerConfig;
  readonly sink: PublishSink;
  /** Default: everybody is let in. */
  readonly admission?: Admission;
  readonly topics: TopicRegistry;
  readonly devices: DeviceRegistry;
  readonly logger: Logger;
  readonly registry: Registry;
  /** ms on a clock that never goes back: all that is measured here are times between two moments. */
  readonly now?: () => number;
  readonly random?: () => number;
}

export interface BrokerStatus {
  readonly connections: number;
  readonly inFlightMessages: number;
  readonly inFlightBytes: number;
  readonly pausedConnections: number;
  /** PUBACK and PUBREC written for telemetry. */
  readonly acknowledged: number;
  /** Those of them that repeat the PUBREC of a message that was appended before: all others stand for an append each. */
  readonly repeated: number;
  /** By reason. */
  readonly refused: Readonly<Record<string, number>>;
  /** PUBLISH packets that were read and not taken, since their connection had ended or was being ended. */
  readonly untaken: number;
  /** Plain messages that queues of sessions had no room for, and such that were to be retained and are not. */
  readonly sessionDropped: number;
  readonly retainedDropped: number;
  /** False while CONNECT is refused because the sink has no room. */
  readonly isOpen: boolean;
}

/**
 * MQTT 3.1.1 for devices. A QoS 1 or 2 message is acknowledged only once the sink says that it is durable (G1), in the order of
 * arrival; one that can't be made durable in time closes its connection without an acknowledgement, and the device sends it again.
 */
export class Broker {
  readonly #config: BrokerConfig;
  readonly #metrics: BrokerMetrics;
  readonly #refusals: RefusalLog;
  readonly #aedes: Aedes;
  readonly #listener: Listener;
  readonly #hooks: AedesHooks;
  readonly #admission: Admission;
  readonly #sessions = new Set<Session>();
  readonly #paused = new Set<Session>();
  readonly #pacedCloses: PacedCloses;
  readonly #sweep: SessionSweep;
  readonly #dirty = new Set<Session>();

  constructor(options: BrokerOptions) {
    const { config, sink, logger, registry, devices } = options;
    const now = options.now ?? (() => performance.now());
    const random = options.random ?? Math.random;
    checkAnonymousListener(config.host, config.anonymous);
    this.#config = config;
    const slowChecks = slowChecksOf(config);
    this.#metrics = new BrokerMetrics(registry, {
      connections: () => this.#listener.connections,
      inFlight: () => this.#inFlight(),
      slowChecks,
    });
    this.#refusals = new RefusalLog({ logger, metrics: this.#metrics, now });
    this.#pacedCloses = new PacedCloses({ perSecond: config.closesPerSecond, random });
    const live = new LiveSubscribers({
      publish: (packet) => this.#aedes.publish(packet, ignoreDelivery),
      metrics: this.#metrics,
    });
    const context: SessionContext = {
      config,
      sink,
      metrics: this.#metrics,
      refusals: this.#refusals,
      live,
      pacedCloses: this.#pacedCloses,
      now,
      sessions: this.#sessions,
      paused: this.#paused,
      flushSoon: (session) => this.#flushSoon(session),
    };
    this.#admission = options.admission ?? alwaysOpen;
    const receivedIds = new ReceivedIdsOfSessions({ sessionsMax: config.maxConnections });
    this.#hooks = new AedesHooks(context, {
      admission: this.#admission,
      authentication: authenticationOf(devices, config, slowChecks),
      rules: new TopicRules(options.topics, {
        filters: config.plainFilters,
        publishers: config.plainPublishers,
      }),
      receivedIds,
      hasRoomForSession: (clientId) => queues.hasRoom(clientId),
    });
    const queues = new SessionQueues(sessionBoundsOf(config), {
      live,
      metrics: this.#metrics,
      granted: () => this.#hooks.granted,
      isResumed: (clientId) => receivedIds.isResumed(clientId),
    });
    this.#aedes = createIngestAedes(
      {
        // 0 = no limit: with one, a subscriber that stops reading halts the delivery to all others.
        concurrency: 0,
        connectTimeout: config.connectTimeoutMs,
        // Of MQTT 3.1 only, and refused without a word to us: ours holds for both versions.
        maxClientsIdLength: config.clientIdMaxBytes,
        drainTimeout: config.drainTimeoutMs,
        persistence: queues.persistence,
        ...this.#hooks.handlers(),
      },
      live,
    );
    checkAedesVersion(this.#aedes);
    this.#hooks.watch(this.#aedes);
    devices.onRevoked((name) => this.#hooks.revoke(name));
    this.#sweep = new SessionSweep({
      sessions: this.#sessions,
      paused: this.#paused,
      now,
      refusals: this.#refusals,
    });
    sink.onDrain(() => this.#sweep.resumeAll());
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

  /** Accepts nothing more, waits a bounded time for held messages to settle, acknowledges them, and closes all connections. */
  async stop(): Promise<void> {
    this.#listener.close();
    this.#hooks.stopReading();
    const endMs = performance.now() + this.#config.stopTimeoutMs;
    while (this.#sessions.size > 0 && performance.now() < endMs)
      await new Promise((resolve) => setTimeout(resolve, 5));
    this.#flush();
    this.#sweep.stop();
    this.#pacedCloses.stop();
    await new Promise<void>((resolve) => this.#aedes.close(() => resolve()));
    this.#listener.destroyAll();
    this.#refusals.endMinute();
  }

  /** Who is connected with an identity, one for each connection. */
  identities(): readonly Identity[] {
    return this.#hooks.identities();
  }

  status(): BrokerStatus {
    return {
      connections: this.#listener.connections,
      inFlightMessages: this.#inFlight(),
      inFlightBytes: this.#inFlightBytes(),
      pausedConnections: this.#paused.size,
      acknowledged: this.#metrics.acknowledged,
      repeated: this.#metrics.repeated,
      refused: this.#metrics.refusals(),
      untaken: this.#metrics.untaken,
      sessionDropped: this.#metrics.sessionDropped,
      retainedDropped: this.#metrics.retainedDropped,
      isOpen: this.#admission.isOpen,
    };
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
        this.#refusals.refuse("connection-limit", who, excess);
      },
    });
  }

  #accept(client: AedesClient): void {
    // Asked once, the socket knows it also after its end.
    void client.conn.remoteAddress;
    new Connection(client, {
      config: this.#config,
      session: (connected) => this.#hooks.sessionOf(connected),
      refuse: (refused, reason, fields) => this.#refuse(refused, reason, fields),
      publishWill: (will) => this.#aedes.publish({ cmd: "publish", dup: false, ...will }, ignoreDelivery),
      leave: (left, { topic, qos }) => this.#refusals.untaken(refusedClientOf(left), { topic, qos }),
    });
  }

  #refuse(client: AedesClient, reason: RefusalReason, fields: RefusalFields): void {
    this.#refusals.refuse(reason, refusedClientOf(client), fields);
    client.close();
  }

  #inFlight(): number {
    let messages = 0;
    for (const session of this.#sessions) messages += session.inFlightCount;
    return messages;
  }

  #inFlightBytes(): number {
    let bytes = 0;
    for (const session of this.#sessions) bytes += session.inFlightBytes;
    return bytes;
  }

  #flushSoon(session: Session): void {
    if (this.#dirty.size === 0) queueMicrotask(() => this.#flush());
    this.#dirty.add(session);
  }

  #flush(): void {
    for (const session of this.#dirty) {
      session.flush();
      session.resumeIfRoom();
    }
    this.#dirty.clear();
  }
}

function authenticationOf(
  devices: DeviceRegistry,
  config: BrokerConfig,
  slowChecks: SlowChecks,
): Authentication {
  return new Authentication(devices, {
    anonymous: config.anonymous,
    timeoutMs: config.authenticationTimeoutMs,
    runningMax: config.authenticationsMax,
    waitingMax: config.authenticationsWaitingMax,
    slowChecks,
  });
}

function slowChecksOf(config: BrokerConfig): SlowChecks {
  return new SlowChecks({
    runningMax: config.slowChecksMax,
    waitingMax: config.slowChecksWaitingMax,
    perAddressMax: config.slowChecksPerAddressMax,
    waitMaxMs: config.authenticationTimeoutMs,
  });
}

function sessionBoundsOf(config: BrokerConfig): SessionBounds {
  return {
    messagesMax: config.sessionQueueMax,
    bytesMax: config.sessionsQueueMaxBytes,
    sessionsMax: config.maxConnections,
    retainedMax: RETAINED_MAX,
  };
}

/** A failed delivery is the subscriber's: Aedes closes it. */
function ignoreDelivery(): void {}

export function createBroker(options: BrokerOptions): Broker {
  return new Broker(options);
}
