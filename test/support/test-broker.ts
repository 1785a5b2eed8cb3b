import { Value } from "@sinclair/typebox/value";
import pino from "pino";
import { Registry } from "prom-client";
import {
  type Admission,
  type Broker,
  type BrokerConfig,
  brokerConfigSchema,
  createBroker,
  type DeviceRegistry,
  type Identity,
  type TopicRegistry,
  type TopicRule,
} from "../../broker/index.ts";
import { ControllableSink } from "./controllable-sink.ts";

export function topicRule(rule: Partial<TopicRule> = {}): TopicRule {
  return {
    topicId: "topic-1",
    version: 1,
    name: "telemetry",
    filter: "fleet/{device}/telemetry",
    maxPayloadBytes: 1024,
    allowedQos: [0, 1, 2],
    publishers: ["*"],
    subscribers: ["*"],
    messagesPerSecond: null,
    ...rule,
  };
}

export class TestTopics implements TopicRegistry {
  rules: TopicRule[];
  readonly #filters = new Set<string>();
  readonly #listeners: (() => void)[] = [];

  constructor(rules: TopicRule[] = [topicRule()]) {
    this.rules = rules;
  }

  topics(): readonly TopicRule[] {
    return this.rules;
  }

  allFilters(): readonly string[] {
    for (const { filter } of this.rules) this.#filters.add(filter);
    return [...this.#filters];
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Filters that are missing from now on are those of deleted topics. */
  replace(rules: TopicRule[]): void {
    this.allFilters();
    this.rules = rules;
    for (const listener of this.#listeners) listener();
  }
}

/** Identities whose secret is their name. */
export class TestDevices implements DeviceRegistry {
  readonly identities: Identity[];
  delayMs = 0;
  #revoked: (name: string) => void = () => {};

  constructor(identities: Identity[] = []) {
    this.identities = identities;
  }

  async verify(name: string, secret: Uint8Array): Promise<Identity | null> {
    if (this.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.delayMs));
    if (Buffer.from(secret).toString() !== name) return null;
    return this.identities.find((identity) => identity.name === name) ?? null;
  }

  onRevoked(listener: (name: string) => void): void {
    this.#revoked = listener;
  }

  revoke(name: string): void {
    this.#revoked(name);
  }
}

export interface TestBroker extends AsyncDisposable {
  readonly broker: Broker;
  readonly sink: ControllableSink;
  readonly topics: TestTopics;
  readonly devices: TestDevices;
  readonly registry: Registry;
  /** What the broker logged. */
  readonly logged: Record<string, unknown>[];
  readonly port: number;
  readonly url: string;
}

/** A real broker on a free port of 127.0.0.1. */
export async function startBroker(
  options: {
    config?: Partial<BrokerConfig>;
    rules?: TopicRule[];
    identities?: Identity[];
    admission?: Admission;
    /** In the place of `identities`. */
    registry?: DeviceRegistry;
  } = {},
): Promise<TestBroker> {
  const defaults = Value.Create(brokerConfigSchema);
  const sink = new ControllableSink();
  const topics = new TestTopics(options.rules);
  const devices = new TestDevices(options.identities);
  const registry = new Registry();
  const logged: Record<string, unknown>[] = [];
  const broker = createBroker({
    config: { ...defaults, port: 0, stopTimeoutMs: 500, ...options.config },
    sink,
    ...(options.admission ? { admission: options.admission } : {}),
    topics,
    devices: options.registry ?? devices,
    logger: pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) }),
    registry,
  });
  const { port } = await broker.listen();
  return {
    broker,
    sink,
    topics,
    devices,
    registry,
    logged,
    port,
    url: `mqtt://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: () => broker.stop(),
  };
}
