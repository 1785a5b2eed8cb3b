import { checkTopicName } from "../../devices/protocol/topic-filter.ts";
import { rememberedNamesMax, topicLevelsMax } from "../client-limits.ts";
import type { Identity } from "./device-registry.ts";
import type { IngressPublish } from "./publish-sink.ts";
import { RateLimit } from "./rate-limit.ts";
import { type Refusal, type RefusalCode, type RefusalFields, refusalOf } from "./refusal.ts";
import type { TopicRule } from "./topic-registry.ts";
import { isNamed, type TopicRules } from "./topic-rules.ts";

export type Verdict =
  | { readonly kind: "telemetry"; readonly rule: TopicRule; readonly deviceId: string }
  /** Ordinary publish/subscribe, in which the core has no part. */
  | { readonly kind: "plain" }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export type TelemetryVerdict = Verdict & { readonly kind: "telemetry" };

const refused = (code: RefusalCode, fields: RefusalFields = {}): Verdict => ({
  kind: "refused",
  refusal: refusalOf(code, fields),
});

/** Judges the messages of one session by everything but the payload's content. */
export class Ingress {
  readonly #rules: TopicRules;
  readonly #identity: Identity | null;
  readonly #clientId: string;
  readonly #names = new Map<string, Verdict>();
  readonly #rates = new Map<string, RateLimit>();
  #generation = -1;

  constructor(rules: TopicRules, who: { identity: Identity | null; clientId: string }) {
    this.#rules = rules;
    this.#identity = who.identity;
    this.#clientId = who.clientId;
  }

  judge(packet: { topic: string; qos: 0 | 1 | 2; payload: Uint8Array }, nowMs: number): Verdict {
    const verdict = this.#judgeName(packet.topic);
    if (verdict.kind !== "telemetry") return verdict;
    const { rule } = verdict;
    const { allowedQos, maxPayloadBytes, messagesPerSecond } = rule;
    const { length } = packet.payload;
    if (!allowedQos.includes(packet.qos))
      return refused("qos-not-allowed", { limit: allowedQos, actual: packet.qos });
    if (length > maxPayloadBytes)
      return refused("payload-too-large", { limit: maxPayloadBytes, actual: length });
    if (messagesPerSecond !== null && !this.#rateOf(rule, messagesPerSecond).take(nowMs))
      return refused("rate-exceeded", { limit: messagesPerSecond });
    return verdict;
  }

  #judgeName(topicName: string): Verdict {
    if (this.#generation !== this.#rules.generation) {
      this.#names.clear();
      this.#rates.clear();
      this.#generation = this.#rules.generation;
    }
    const known = this.#names.get(topicName);
    if (known) return known;
    const verdict = this.#judgeNewName(topicName);
    if (this.#names.size >= rememberedNamesMax) this.#names.clear();
    this.#names.set(topicName, verdict);
    return verdict;
  }

  #judgeNewName(topicName: string): Verdict {
    // Broken UTF-8 arrives as U+FFFD: the sent name is unknown.
    const levels = topicName.split("/").length;
    if (levels > topicLevelsMax)
      return refused("topic-name-invalid", { limit: topicLevelsMax, actual: levels });
    if (topicName.includes("\ufffd") || checkTopicName(topicName) !== null)
      return refused("topic-name-invalid");
    if (topicName.startsWith("$")) return refused("not-authorized");
    const owner = this.#rules.ownerOf(topicName);
    if (owner.kind === "none") return refused("unknown-topic");
    if (owner.kind === "topic")
      return this.#judgeTelemetry(topicName, owner.match.value, owner.match.captures["device"]);
    return this.#rules.mayPublishPlain(this.#identity) ? { kind: "plain" } : refused("not-authorized");
  }

  #judgeTelemetry(topicName: string, rule: TopicRule, device: string | undefined): Verdict {
    const identity = this.#identity;
    if (identity === null) return { kind: "telemetry", rule, deviceId: device ?? this.#clientId };
    if (!isNamed(identity.name, rule.publishers)) return refused("not-authorized");
    if (identity.role === "device") {
      if (device !== undefined && device !== identity.name) return refused("device-mismatch");
      return { kind: "telemetry", rule, deviceId: identity.name };
    }
    const { topicPrefixes } = identity;
    const isAllowed =
      topicPrefixes.length === 0 || topicPrefixes.some((prefix) => topicName.startsWith(prefix));
    if (!isAllowed) return refused("not-authorized");
    return { kind: "telemetry", rule, deviceId: device ?? identity.name };
  }

  #rateOf(rule: TopicRule, perSecond: number): RateLimit {
    const known = this.#rates.get(rule.topicId);
    if (known) return known;
    const limit = new RateLimit(perSecond);
    this.#rates.set(rule.topicId, limit);
    return limit;
  }
}

/** What the sink receives of a message that was judged as telemetry. */
export function ingressPublish(
  { topic, qos, payload }: { topic: string; qos: 0 | 1 | 2; payload: Uint8Array },
  { rule, deviceId }: { rule: TopicRule; deviceId: string },
): IngressPublish {
  return { topicId: rule.topicId, topicVersion: rule.version, topicName: topic, deviceId, qos, payload };
}
