import { setTimeout as sleep } from "node:timers/promises";
import { SimulatorError } from "../errors.ts";

/** A gateway's HTTP API, only for topics. */
export interface TopicApiAddress {
  /** Such as http://127.0.0.1:8080. */
  readonly url: string;
  readonly token: string;
}

/** The body of `POST /v1/topics`. */
export interface TopicDefinition {
  readonly name: string;
  readonly filter: string;
  readonly format: "json" | "envelope" | "raw";
  readonly schema?: Readonly<Record<string, unknown>>;
  readonly dedupeWindowMs?: number;
}

const callTimeoutMs = 15_000;
const retryMs = 500;

/** The calls of an administrator's program for topics, through the API. */
export class TopicApi {
  readonly #address: TopicApiAddress;
  readonly #patienceMs: number;

  /** @param patienceMs How long to retry a gateway that does not answer, or answers "later". */
  constructor(address: TopicApiAddress, patienceMs: number) {
    this.#address = address;
    this.#patienceMs = patienceMs;
  }

  /** Filters of the topics in force. */
  async filters(): Promise<string[]> {
    const { topics } = (await this.#call("GET", "/v1/topics")) as { topics: { filter: string }[] };
    return topics.map(({ filter }) => filter);
  }

  async create(topic: TopicDefinition): Promise<void> {
    await this.#call("POST", "/v1/topics", topic);
  }

  async update(topic: TopicDefinition): Promise<void> {
    await this.#call("PUT", `/v1/topics/${topic.name}`, topic);
  }

  /**
   * Deleting a missing topic is safe: the gateway may have heard the call before, and its answer was lost.
   */
  async delete(name: string): Promise<void> {
    await this.#call("DELETE", `/v1/topics/${name}`);
  }

  /** Throws SIMULATE_API. */
  async #call(method: string, path: string, body?: TopicDefinition): Promise<unknown> {
    let fault = "";
    for (const endMs = performance.now() + this.#patienceMs; ; await sleep(retryMs)) {
      const answer = await this.#ask(method, path, body).catch((error: unknown) => reasonOf(error));
      if (typeof answer !== "string") {
        if (answer.ok || (method === "DELETE" && answer.status === 404)) return await answer.json();
        fault = `${answer.status} ${await answer.text()}`;
        if (answer.status < 500) break;
      } else fault = answer;
      if (performance.now() >= endMs) break;
    }
    throw new SimulatorError("SIMULATE_API", `${method} ${this.#address.url}${path}: ${fault}`, {
      retryable: false,
    });
  }

  #ask(method: string, path: string, body: TopicDefinition | undefined): Promise<Response> {
    const { url, token } = this.#address;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const content =
      body === undefined
        ? { headers: { authorization: headers.authorization } }
        : { headers, body: JSON.stringify(body) };
    return fetch(`${url}${path}`, { method, ...content, signal: AbortSignal.timeout(callTimeoutMs) });
  }
}

/** `fetch` says only "fetch failed"; the reason is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
}
