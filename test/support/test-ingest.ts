import { Value } from "@sinclair/typebox/value";
import pino from "pino";
import { Registry } from "prom-client";
import {
  type Admission,
  type BrokerConfig,
  brokerConfigSchema,
  createIngest,
  type DeviceRegistry,
  type Identity,
  type IngestCore,
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

  /** Sets the filters; missing ones belong to deleted topics. */
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
  /** Secrets that were checked. */
  checks = 0;
  #revoked: (name: string) => void = () => {};

  constructor(identities: Identity[] = []) {
    this.identities = identities;
  }

  async verify(name: string, secret: Uint8Array): Promise<Identity | null> {
    this.checks += 1;
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

export interface TestIngest {
  readonly ingest: IngestCore;
  readonly config: BrokerConfig;
  readonly sink: ControllableSink;
  readonly topics: TestTopics;
  readonly devices: TestDevices;
  readonly registry: Registry;
  /** Lines of the log. */
  readonly logged: Record<string, unknown>[];
}

export interface TestIngestOptions {
  readonly config?: Partial<BrokerConfig>;
  readonly rules?: TopicRule[];
  readonly identities?: Identity[];
  readonly admission?: Admission;
  /** Used instead of `identities`. */
  readonly registry?: DeviceRegistry;
}

/** An ingest core whose ports the test moves. */
export function testIngest(options: TestIngestOptions = {}): TestIngest {
  const config = { ...Value.Create(brokerConfigSchema), port: 0, stopTimeoutMs: 500, ...options.config };
  const sink = new ControllableSink();
  const topics = new TestTopics(options.rules);
  const devices = new TestDevices(options.identities);
  const registry = new Registry();
  const logged: Record<string, unknown>[] = [];
  const ingest = createIngest({
    config,
    sink,
    ...(options.admission ? { admission: options.admission } : {}),
    topics,
    devices: options.registry ?? devices,
    logger: pino({}, { write: (line: string) => void logged.push(JSON.parse(line)) }),
    registry,
  });
  return { ingest, config, sink, topics, devices, registry, logged };
}
