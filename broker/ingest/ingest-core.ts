import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { type Admission, alwaysOpen } from "./admission.ts";
import { Authentication, type Credentials, ownsClientId } from "./authentication.ts";
import { CoreSession, type SessionContext } from "./core-session.ts";
import { DeadlineSweep } from "./deadline-sweep.ts";
import type { DeviceRegistry, Identity } from "./device-registry.ts";
import { IngestMetrics } from "./ingest-metrics.ts";
import type { IngestClient, IngestSession, SessionLimits } from "./ingest-session.ts";
import { Ingress } from "./ingress.ts";
import { type LiveAudience, nobody } from "./live-audience.ts";
import type { PublishMessage } from "./publish-message.ts";
import type { PublishSink } from "./publish-sink.ts";
import {
  type Refusal,
  type RefusalCode,
  type RefusalFields,
  type RefusalMeaning,
  refusalOf,
} from "./refusal.ts";
import { RefusalLog, type RefusedClient } from "./refusal-log.ts";
import { SlowChecks } from "./slow-checks.ts";
import type { TopicRegistry } from "./topic-registry.ts";
import { TopicRules } from "./topic-rules.ts";

/** The settings that the core reads. */
export interface IngestConfig {
  readonly authenticationTimeoutMs: number;
  readonly authenticationsMax: number;
  readonly authenticationsWaitingMax: number;
  readonly slowChecksMax: number;
  readonly slowChecksWaitingMax: number;
  readonly slowChecksPerAddressMax: number;
  readonly plainFilters: readonly string[];
  readonly plainPublishers: readonly string[];
}

export interface IngestOptions {
  readonly config: IngestConfig;
  readonly sink: PublishSink;
  /** Default: every client is admitted. */
  readonly admission?: Admission;
  readonly topics: TopicRegistry;
  readonly devices: DeviceRegistry;
  readonly logger: Logger;
  readonly registry: Registry;
  /** ms on a monotonic clock: only differences between two moments are measured. */
  readonly now?: () => number;
}

/** A client that asks to connect. */
export interface Newcomer {
  readonly credentials: Credentials;
  readonly clientId: string;
  /** IP address. */
  readonly address: string;
  readonly limits: SessionLimits;
  /** Whether the client has left and waits for no answer. */
  readonly hasLeft: () => boolean;
}

export type Entry<Tag> = { readonly session: IngestSession<Tag> } | { readonly refusal: Refusal };

export interface IngestStatus {
  readonly inFlightMessages: number;
  readonly inFlightBytes: number;
  /** Acknowledgements written for telemetry. */
  readonly acknowledged: number;
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
  /** Messages that were read and not accepted, because their connection had ended or was being ended. */
  readonly untaken: number;
  /** False while new clients are refused because the sink has no room. */
  readonly isOpen: boolean;
}

/** Counts a refusal by its code, and logs it. */
export type Refuse<Code extends string> = (code: Code, who: RefusedClient, fields?: RefusalFields) => void;

/**
 * Everything that front ends share: who may connect, what may be published, and when a message is durable.
 * The core knows no protocol. A front end reads its protocol, opens a session for each client, publishes
 * through the session, and answers.
 */
export class IngestCore {
  readonly rules: TopicRules;
  readonly #admission: Admission;
  readonly #authentication: Authentication;
  readonly #metrics: IngestMetrics;
  readonly #refusals: RefusalLog;
  readonly #context: SessionContext;
  readonly #sweep: DeadlineSweep;
  readonly #open = new Set<CoreSession<unknown>>();
  readonly #busy = new Set<CoreSession<unknown>>();
  #settledInTurn = new Set<CoreSession<unknown>>();
  readonly #checks = new Set<{ readonly name: string | undefined; isOutdated: boolean }>();
  readonly #roomListeners: (() => void)[] = [];

  constructor(options: IngestOptions) {
    const { config, sink, devices, logger, registry } = options;
    const now = options.now ?? (() => performance.now());
    const slowChecks = slowChecksOf(config);
    this.rules = new TopicRules(options.topics, {
      filters: config.plainFilters,
      publishers: config.plainPublishers,
    });
    this.#admission = options.admission ?? alwaysOpen;
    this.#authentication = authenticationOf(devices, config, slowChecks);
    this.#metrics = new IngestMetrics(registry, { inFlight: () => this.#inFlight().messages, slowChecks });
    this.#refusals = new RefusalLog({ logger, metrics: this.#metrics, now });
    this.#context = {
      sink,
      audience: nobody,
      metrics: this.#metrics,
      refusals: this.#refusals,
      now,
      busy: this.#busy,
      open: this.#open,
      endTurnSoon: (session) => this.#endTurnSoon(session),
    };
    this.#sweep = new DeadlineSweep({ busy: this.#busy, now, refusals: this.#refusals });
    devices.onRevoked((name) => this.#revoke(name));
    sink.onDrain(() => {
      for (const listener of this.#roomListeners) listener();
    });
  }

  /**
   * Called before a client's secret is checked: null, or a counted refusal while no new client is admitted.
   */
  admit(who: RefusedClient): Refusal | null {
    if (this.#admission.isOpen) return null;
    const refusal = refusalOf("no-room");
    this.#refusals.refuse(refusal.code, who);
    return refusal;
  }

  /**
   * Checks the client's identity and opens a session. `connect` is called for an admitted client, before the
   * promise resolves. A refusal is counted.
   */
  async open<Tag>(
    newcomer: Newcomer,
    connect: (session: IngestSession<Tag>) => IngestClient<Tag>,
  ): Promise<Entry<Tag>> {
    const { credentials, clientId, address, limits } = newcomer;
    const who = { client: clientId, address };
    const answer = await this.#identify(newcomer);
    if ("refusal" in answer) {
      const { code, fields } = answer.refusal;
      this.#refusals.refuse(code, who, { name: credentials.name ?? null, ...fields });
      return answer;
    }
    const { identity } = answer;
    const ingress = new Ingress(this.rules, { identity, clientId });
    const session = new CoreSession<Tag>(this.#context, { identity, who, ingress, limits });
    session.connect(connect(session));
    return { session };
  }

  /**
   * Declares a front end's own codes: counted at 0 from the start. Returns the function that counts refusals
   * of the front end.
   */
  declareRefusals<Code extends string>(
    codes: Readonly<Record<Code, RefusalMeaning>>,
  ): Refuse<RefusalCode | Code> {
    this.#metrics.declareRefusals(Object.keys(codes));
    return (code, who, fields) => this.#refusals.refuse(code, who, fields);
  }

  /** Counts a message that was read and not accepted, because its connection has ended or is being ended. */
  untaken(who: RefusedClient, message: Pick<PublishMessage, "topic" | "qos">): void {
    this.#refusals.untaken(who, { topic: message.topic, qos: message.qos });
  }

  /** From now on, shows durable messages to this audience. */
  showTo(audience: LiveAudience): void {
    this.#context.audience = audience;
  }

  /** Called when a full sink has room again. */
  onRoom(listener: () => void): void {
    this.#roomListeners.push(listener);
  }

  /** The identities of open sessions, one entry for each session. */
  identities(): readonly Identity[] {
    return [...this.#open].flatMap(({ identity }) => identity ?? []);
  }

  status(): IngestStatus {
    const { messages, bytes } = this.#inFlight();
    return {
      inFlightMessages: messages,
      inFlightBytes: bytes,
      acknowledged: this.#metrics.acknowledged,
      refused: this.#metrics.refusals(),
      untaken: this.#metrics.untaken,
      isOpen: this.#admission.isOpen,
    };
  }

  /**
   * Waits until no message is in flight, or until the time is up. Front ends accept no new messages
   * meanwhile.
   */
  async drain(timeoutMs: number): Promise<void> {
    const endMs = performance.now() + timeoutMs;
    while (this.#busy.size > 0 && performance.now() < endMs)
      await new Promise((resolve) => setTimeout(resolve, 5));
    this.#endTurns();
  }

  /** Call this after the front ends have stopped. */
  close(): void {
    this.#sweep.stop();
    this.#refusals.endMinute();
  }

  /** A verdict on an identity that was removed or changed meanwhile does not count: the client may retry. */
  async #identify(newcomer: Newcomer): Promise<{ identity: Identity | null } | { refusal: Refusal }> {
    const { credentials, clientId, address, hasLeft } = newcomer;
    const check = { name: credentials.name, isOutdated: false };
    this.#checks.add(check);
    const answer = await this.#authentication.identify(credentials, { address, hasLeft });
    this.#checks.delete(check);
    if (check.isOutdated) return { refusal: refusalOf("authentication-busy") };
    if (answer.outcome === "refused") return { refusal: refusalOf(answer.reason, answer.fields) };
    if (!ownsClientId(answer.identity, clientId)) return { refusal: refusalOf("client-id-foreign") };
    return { identity: answer.identity };
  }

  /** Ends the sessions of an identity that was removed or changed. */
  #revoke(name: string): void {
    for (const session of this.#open) if (session.identity?.name === name) session.revoke();
    for (const check of this.#checks) if (check.name === name) check.isOutdated = true;
  }

  #inFlight(): { messages: number; bytes: number } {
    const sum = { messages: 0, bytes: 0 };
    for (const session of this.#busy) {
      sum.messages += session.inFlightCount;
      sum.bytes += session.inFlightBytes;
    }
    return sum;
  }

  #endTurnSoon(session: CoreSession<unknown>): void {
    if (this.#settledInTurn.size === 0) queueMicrotask(() => this.#endTurns());
    this.#settledInTurn.add(session);
  }

  #endTurns(): void {
    const sessions = this.#settledInTurn;
    this.#settledInTurn = new Set();
    for (const session of sessions) session.endTurn();
  }
}

function slowChecksOf(config: IngestConfig): SlowChecks {
  return new SlowChecks({
    runningMax: config.slowChecksMax,
    waitingMax: config.slowChecksWaitingMax,
    perAddressMax: config.slowChecksPerAddressMax,
    waitMaxMs: config.authenticationTimeoutMs,
  });
}

function authenticationOf(
  devices: DeviceRegistry,
  config: IngestConfig,
  slowChecks: SlowChecks,
): Authentication {
  return new Authentication(devices, {
    timeoutMs: config.authenticationTimeoutMs,
    runningMax: config.authenticationsMax,
    waitingMax: config.authenticationsWaitingMax,
    slowChecks,
  });
}

export function createIngest(options: IngestOptions): IngestCore {
  return new IngestCore(options);
}
