import { setTimeout as delay } from "node:timers/promises";
import { GatewayError } from "../errors.ts";
import type { TopicInput } from "../registry/topic-definition.ts";
import type { GatewayUnderTest } from "./gateway-under-test.ts";
import type { Strikable, Strike, StrikeEffect } from "./strikes.ts";

export interface TopicAdminOptions {
  readonly gateways: readonly GatewayUnderTest[];
  /** Topics that take names from one that stands for the whole run, while they are there. */
  readonly specific: readonly TopicInput[];
}

/**
 * An admin who changes topics while devices publish on them, through the HTTP API of any gateway: a more specific topic takes its names
 * from another one, gets further versions, and gives the names back when it is deleted. At any time some topic takes each name.
 */
export class TopicAdmin implements Strikable {
  readonly #options: TopicAdminOptions;
  /** Names of the specific topics that are in force. */
  readonly #live = new Set<string>();
  /** By name: a table keeps the columns of every version. */
  readonly #definitions = new Map<string, TopicInput>();
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
        await this.#call(gateway, "DELETE", `/v1/topics/${topic.name}`);
        this.#live.delete(topic.name);
        return { detail: `${topic.name} gives ${topic.filter} back` };
      default:
        throw new TypeError(`an admin knows no ${fault}`);
    }
  }

  async #change(topic: TopicInput, gateway: number): Promise<void> {
    const definition = changed(this.#definitions.get(topic.name) ?? topic, this.#changes);
    await this.#call(gateway, "PUT", `/v1/topics/${topic.name}`, definition);
    this.#definitions.set(topic.name, definition);
  }

  /** The topic that a strike is about; where it must be there and is not, it is created and used for a moment. */
  async #chosen(fault: Strike["fault"], gateway: number): Promise<TopicInput> {
    const { specific } = this.#options;
    const turn = this.#changes++ % specific.length;
    const inTurn = [...specific.slice(turn), ...specific.slice(0, turn)];
    const isLive = ({ name }: TopicInput) => this.#live.has(name);
    const found = inTurn.find((topic) => (fault === "create" ? !isLive(topic) : isLive(topic)));
    const topic = found ?? (inTurn[0] as TopicInput);
    if (fault === "create" && !found) {
      await this.#call(gateway, "DELETE", `/v1/topics/${topic.name}`);
      this.#live.delete(topic.name);
    }
    if (isLive(topic)) return topic;
    await this.#call(gateway, "POST", "/v1/topics", this.#definitions.get(topic.name) ?? topic);
    this.#live.add(topic.name);
    if (fault !== "create") await delay(usedForMs);
    return topic;
  }

  #call(gateway: number, method: Method, path: string, body?: TopicInput): Promise<void> {
    return callApi(this.#options.gateways[gateway] as GatewayUnderTest, method, path, body);
  }
}

/** Tried again where the gateway is not there, or says that the same call may work later. */
export async function callApi(
  gateway: Pick<GatewayUnderTest, "request">,
  method: Method,
  path: string,
  body?: TopicInput,
): Promise<void> {
  let fault = "";
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const answer = await gateway.request(method, path, body).catch((error: unknown) => String(error));
    if (typeof answer !== "string") {
      // A call before this one may have been heard, though its answer was not.
      if (answer.ok || (method === "DELETE" && answer.status === 404)) return;
      fault = `${answer.status}: ${await answer.text()}`;
      if (answer.status < 500) break;
    } else fault = answer;
    await delay(retryMs);
  }
  throw new GatewayError("PROVE_GATEWAY_FAILED", `${method} ${path} was answered with ${fault}`, {
    retryable: false,
  });
}

type Method = "POST" | "PUT" | "DELETE";

const attemptsMax = 20;
const retryMs = 500;
const usedForMs = 1_500;

/** The topic with one more property, and thereby one more typed column; payloads that fit the topic still fit. */
function changed(topic: TopicInput, count: number): TopicInput {
  const schema = topic.schema ?? { type: "object" };
  const added = { [`added_${count}`]: { type: ["number", "null"] } };
  const properties = { ...(schema["properties"] as Readonly<Record<string, unknown>> | undefined), ...added };
  return { ...topic, schema: { ...schema, properties } };
}
