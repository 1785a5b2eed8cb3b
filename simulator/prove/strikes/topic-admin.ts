import { setTimeout as delay } from "node:timers/promises";
import type { TopicApi, TopicDefinition } from "../../topics/topic-api.ts";
import type { Strikable, Strike, StrikeEffect } from "../strike.ts";
import type { GatewayUnderTest } from "../under-test/gateway-under-test.ts";

export interface TopicAdminOptions {
  readonly gateways: readonly GatewayUnderTest[];
  /** Topics that take names from a permanent topic while they exist. */
  readonly specific: readonly TopicDefinition[];
}

/**
 * An administrator who changes topics while devices publish on them, through the HTTP API of any gateway. A
 * more specific topic takes its names from another one, gets further versions, and gives the names back when
 * it is deleted. At any time some topic has each name.
 */
export class TopicAdmin implements Strikable {
  readonly #options: TopicAdminOptions;
  /** Names of the specific topics that are in force. */
  readonly #live = new Set<string>();
  /** By name: a table keeps the columns of every version. */
  readonly #definitions = new Map<string, TopicDefinition>();
  #changes = 0;

  constructor(options: TopicAdminOptions) {
    this.#options = options;
  }

  async strike({ fault, gateway }: Pick<Strike, "fault" | "gateway">): Promise<StrikeEffect> {
    const topic = await this.#chosen(fault, gateway);
    switch (fault) {
      case "create":
        return { detail: `${topic.name} takes ${topic.filter}` };
      case "change":
        await this.#change(topic, gateway);
        return { detail: `another version of ${topic.name}` };
      case "delete":
        await this.#topics(gateway).delete(topic.name);
        this.#live.delete(topic.name);
        return { detail: `${topic.name} gives ${topic.filter} back` };
      default:
        throw new TypeError(`an admin knows no ${fault}`);
    }
  }

  async #change(topic: TopicDefinition, gateway: number): Promise<void> {
    const definition = changed(this.#definitions.get(topic.name) ?? topic, this.#changes);
    await this.#topics(gateway).update(definition);
    this.#definitions.set(topic.name, definition);
  }

  /** The topic of a strike. If the topic must exist and does not, it is created and used for a moment. */
  async #chosen(fault: Strike["fault"], gateway: number): Promise<TopicDefinition> {
    const { specific } = this.#options;
    const turn = this.#changes++ % specific.length;
    const inTurn = [...specific.slice(turn), ...specific.slice(0, turn)];
    const isLive = ({ name }: TopicDefinition) => this.#live.has(name);
    const found = inTurn.find((topic) => (fault === "create" ? !isLive(topic) : isLive(topic)));
    const topic = found ?? (inTurn[0] as TopicDefinition);
    if (fault === "create" && !found) {
      await this.#topics(gateway).delete(topic.name);
      this.#live.delete(topic.name);
    }
    if (isLive(topic)) return topic;
    await this.#topics(gateway).create(this.#definitions.get(topic.name) ?? topic);
    this.#live.add(topic.name);
    if (fault !== "create") await delay(usedForMs);
    return topic;
  }

  #topics(gateway: number): TopicApi {
    return (this.#options.gateways[gateway] as GatewayUnderTest).topics;
  }
}

const usedForMs = 1_500;

/**
 * The topic with one more property, and so with one more typed column. Payloads that fit the topic still fit.
 */
function changed(topic: TopicDefinition, count: number): TopicDefinition {
  const schema = topic.schema ?? { type: "object" };
  const added = { [`added_${count}`]: { type: ["number", "null"] } };
  const properties = { ...(schema["properties"] as Readonly<Record<string, unknown>> | undefined), ...added };
  return { ...topic, schema: { ...schema, properties } };
}
