import { readFileSync } from "node:fs";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { apiTokenFile } from "../api/api-token.ts";
import type { GatewayConfig } from "../config.ts";
import { GatewayError } from "../errors.ts";
import { isSameProcess } from "../supervisor/process-identity.ts";
import { readProcessRecord } from "../supervisor/process-record.ts";

const timeoutMs = 60_000;

/** An error that the running gateway answered with. */
export class ApiAnswerError extends CodedError {}

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
}

/** Talks to the gateway that runs on a data folder (or the one that TIDEGATE_API and TIDEGATE_TOKEN name). */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  /** Pid of the gateway that is at work on the data folder; null where it is another one's that is asked, or there is none. */
  readonly #findPid: () => number | null;

  private constructor(url: string, token: string, findPid: () => number | null) {
    this.#url = url;
    this.#token = token;
    this.#findPid = findPid;
  }

  static of(config: GatewayConfig, environment: Readonly<Record<string, string | undefined>>): ApiClient {
    const named = environment["TIDEGATE_API"];
    const address = readProcessRecord(config.folders.data)?.api ?? `${config.http.host}:${config.http.port}`;
    const url = named ?? `http://${address}`;
    const token = environment["TIDEGATE_TOKEN"] ?? readToken(config.folders.data);
    const findPid = () => (named === undefined ? livingSupervisor(config.folders.data) : null);
    return new ApiClient(url.replace(/\/+$/, ""), token, findPid);
  }

  /** The answer's body. Throws GATEWAY_NOT_RUNNING, or an error with the gateway's own code. */
  async send<Answer>(request: ApiRequest): Promise<Answer> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    const init: RequestInit = { method: request.method, headers, signal: AbortSignal.timeout(timeoutMs) };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    const response = await fetch(`${this.#url}${request.path}`, init).catch((cause: unknown) => {
      throw this.#notRunning(cause);
    });
    const body = (await response.json().catch(() => null)) as unknown;
    if (response.ok && body !== null) return body as Answer;
    throw answeredError(response.status, body, this.#url);
  }

  #notRunning(cause: unknown): GatewayError {
    const pid = this.#findPid();
    if (pid !== null)
      return new GatewayError(
        "GATEWAY_NOT_RUNNING",
        `The gateway (pid ${pid}) does not answer on ${this.#url} yet: it is starting, and its log says what it waits for, as a Redis that is away.`,
        { retryable: true, cause, details: { pid } },
      );
    return new GatewayError(
      "GATEWAY_NOT_RUNNING",
      `No gateway answers on ${this.#url}: start it with \`tidegate up\`, or name its folder with --data.`,
      { retryable: true, cause },
    );
  }
}

function livingSupervisor(dataFolder: string): number | null {
  const supervisor = readProcessRecord(dataFolder)?.supervisor;
  return supervisor && isSameProcess(supervisor) ? supervisor.pid : null;
}

function readToken(dataFolder: string): string {
  const file = apiTokenFile(dataFolder);
  try {
    return readFileSync(file, "utf8").trim();
  } catch (cause) {
    const isMissing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new GatewayError(
      isMissing ? "GATEWAY_NOT_RUNNING" : "TOKEN_REFUSED",
      isMissing
        ? `No gateway has ever run on ${dataFolder}: start it with \`tidegate up\`, or name its folder with --data.`
        : `The token in ${file} can't be read: run this as the gateway's user, or set TIDEGATE_TOKEN.`,
      { retryable: false, cause },
    );
  }
}

function answeredError(status: number, body: unknown, url: string): CodedError {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body) {
    const details = "details" in body ? (body.details as Record<string, unknown>) : {};
    return new ApiAnswerError(String(body.code), String(body.message), {
      retryable: status === 503,
      details,
    });
  }
  return new GatewayError(
    "API_ANSWER_INVALID",
    `${url} answered ${status} with something that is no Tidegate answer.`,
    {
      retryable: false,
    },
  );
}
