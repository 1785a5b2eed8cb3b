import { readFileSync } from "node:fs";
import { CodedError } from "../../devices/protocol/coded-error.ts";
import { isSameProcess } from "../../devices/protocol/process-identity.ts";
import { apiTokenFile } from "../api/api-token.ts";
import { askedFolderHeader, askedFolderText } from "../api/asked-folder.ts";
import { identifyFile } from "../data-folder/folder-identity.ts";
import { readProcessRecord } from "../data-folder/process-record.ts";
import { GatewayError } from "../errors.ts";
import type { GatewayConfig } from "../settings/gateway-config.ts";
import { type FlagNames, flagFaults } from "./api-faults.ts";

const timeoutMs = 60_000;
/** Of GATEWAY_OTHER. */
const misdirected = 421;

/** An error that the running gateway answered with. */
export class ApiAnswerError extends CodedError {}

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  /** With its query. */
  readonly path: string;
  readonly body?: unknown;
  /** The user's words for the fields of this request, for texts about them. */
  readonly names?: FlagNames;
  /** Where fields came from that were read from a file: errors about such a field begin with this. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Talks to the gateway that runs on a data folder (or the one that TIDEGATE_API and TIDEGATE_TOKEN name). */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  /** The folder whose gateway is asked; null if TIDEGATE_API names the gateway. */
  readonly #dataFolder: string | null;
  readonly #hasFolderToken: boolean;

  private constructor(url: string, token: string, dataFolder: string | null, hasFolderToken: boolean) {
    this.#url = url;
    this.#token = token;
    this.#dataFolder = dataFolder;
    this.#hasFolderToken = hasFolderToken;
  }

  static of(config: GatewayConfig, environment: Readonly<Record<string, string | undefined>>): ApiClient {
    const folder = config.folders.data;
    const { TIDEGATE_API: namedUrl, TIDEGATE_TOKEN: namedToken } = environment;
    const address = readProcessRecord(folder)?.api ?? `${config.http.host}:${config.http.port}`;
    const url = namedUrl ?? `http://${address}`;
    const token = namedToken ?? readToken(folder);
    const asked = namedUrl === undefined ? folder : null;
    return new ApiClient(url.replace(/\/+$/, ""), token, asked, namedToken === undefined);
  }

  /** The answer's body. Throws GATEWAY_NOT_RUNNING, or an error with the gateway's own code. */
  async send<Answer>(request: ApiRequest): Promise<Answer> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.#token}` };
    const folder = this.#dataFolder === null ? null : identifyFile(this.#dataFolder);
    if (folder) headers[askedFolderHeader] = askedFolderText(folder);
    const init: RequestInit = { method: request.method, headers, signal: AbortSignal.timeout(timeoutMs) };
    if (request.body !== undefined) {
      headers["content-type"] = "application/json";
      init.body = JSON.stringify(request.body);
    }
    const response = await fetch(`${this.#url}${request.path}`, init).catch((cause: unknown) => {
      throw this.#notRunning(`No gateway answers on ${this.#url}`, cause);
    });
    const body = (await response.json().catch(() => null)) as unknown;
    if (response.ok && body !== null) return body as Answer;
    // The folder's own gateway takes the folder's token.
    const isOther = response.status === misdirected || (response.status === 401 && this.#hasFolderToken);
    if (isOther && this.#dataFolder !== null)
      throw this.#notRunning(`Another gateway answers on ${this.#url}`);
    throw answeredError(response.status, body, { url: this.#url, request });
  }

  #notRunning(found: string, cause?: unknown): GatewayError {
    const pid = this.#dataFolder === null ? null : livingSupervisor(this.#dataFolder);
    const details = pid === null ? {} : { pid };
    return new GatewayError("GATEWAY_NOT_RUNNING", `${found}: ${nextStep(this.#dataFolder, pid)}.`, {
      retryable: true,
      cause,
      details,
    });
  }
}

function nextStep(dataFolder: string | null, pid: number | null): string {
  if (dataFolder === null) return "start it with `tidegate up`, or correct TIDEGATE_API";
  if (pid === null)
    return `start the gateway of ${dataFolder} with \`tidegate up\`, or name another folder with --data`;
  return `the gateway of ${dataFolder} (pid ${pid}) is starting; its log says what it waits for, such as a server that is away`;
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

function answeredError(
  status: number,
  body: unknown,
  { url, request: { names = {}, files = {} } }: { url: string; request: ApiRequest },
): CodedError {
  if (typeof body === "object" && body !== null && "code" in body && "message" in body) {
    const details = "details" in body ? (body.details as Record<string, unknown>) : {};
    // A gateway that was not restarted since an upgrade does not send this field.
    const retryable = "retryable" in body ? body.retryable === true : status === 503;
    const file = "where" in body ? files[String(body.where)] : undefined;
    const text = flagFaults(details, names) ?? String(body.message);
    const message = file === undefined ? text : `${file}: ${text}`;
    return new ApiAnswerError(String(body.code), message, { retryable, details });
  }
  return new GatewayError("API_ANSWER_INVALID", `${url} answered ${status}, but not as a Tidegate gateway.`, {
    retryable: false,
  });
}
