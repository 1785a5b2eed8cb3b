import { once, setMaxListeners } from "node:events";
import {
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type Server,
  type ServerResponse,
} from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { HttpAnswer, HttpCall, HttpFault, HttpHead, HttpOutcome, HttpRequest } from "./http-fault.ts";
import { HttpForward, readBody } from "./http-forward.ts";

export interface HttpFaultProxyOptions {
  /** Of the server on 127.0.0.1. */
  readonly targetPort: number;
  /** In [0, 1): decides if a fault has a `chance`. Default Math.random. */
  readonly random?: () => number;
}

export interface InjectOptions {
  /** Operations that it strikes; default all. */
  readonly on?: readonly string[];
  /** Calls that it strikes, beside `on`; default all. */
  readonly when?: (head: HttpHead) => boolean;
  /** Of each such call; default 1. */
  readonly chance?: number;
  /** Such calls that pass before the first strike; default 0. */
  readonly after?: number;
  /** Strikes until it is spent; default no end. */
  readonly times?: number;
}

/** A fault at work in a proxy. */
export class InjectedFault {
  readonly fault: HttpFault;
  readonly #options: InjectOptions;
  #seen = 0;
  #begun = 0;
  #struck = 0;
  #isRemoved = false;

  constructor(fault: HttpFault, options: InjectOptions) {
    this.fault = fault;
    this.#options = options;
  }

  /** How often it has struck. */
  get struck(): number {
    return this.#struck;
  }

  remove(): void {
    this.#isRemoved = true;
  }

  /** Whether it strikes this call; `end` must follow. */
  begin(head: HttpHead, random: () => number): boolean {
    const { on, when, chance = 1, after = 0, times = Number.POSITIVE_INFINITY } = this.#options;
    if (this.#isRemoved || this.#begun >= times) return false;
    if (on && !on.includes(head.operation)) return false;
    if (when && !when(head)) return false;
    if (++this.#seen <= after) return false;
    if (chance < 1 && random() >= chance) return false;
    this.#begun++;
    return true;
  }

  end(hasStruck: boolean): void {
    if (hasStruck) this.#struck++;
    else this.#begun--;
  }
}

/**
 * Stands between HTTP/1.1 clients and a server on this machine. The first injected fault that takes a call
 * strikes it; otherwise the call passes unharmed. The proxy of a service says what a call asks for, and may
 * answer for its server.
 */
export abstract class HttpFaultProxy {
  readonly #server: Server;
  readonly #forward: HttpForward;
  readonly #random: () => number;
  readonly #sockets = new Set<Socket>();
  readonly #faults: InjectedFault[] = [];
  readonly #counters = new Map<string, number>();
  readonly #closed = new AbortController();
  #port = 0;
  #isSilent = false;

  constructor({ targetPort, random = Math.random }: HttpFaultProxyOptions) {
    this.#forward = new HttpForward(targetPort);
    this.#random = random;
    // Each late call listens.
    setMaxListeners(0, this.#closed.signal);
    this.#server = createServer({ requestTimeout: 0 }, (request, response) => {
      // A request that is over has lost its socket.
      const { socket } = request;
      this.#handle(request, response).catch(() => socket.resetAndDestroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** How often what happened, by the names of faults and of what they count beside their strikes. */
  get counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters);
  }

  /** From now on, after the faults injected earlier. */
  inject(fault: HttpFault, options: InjectOptions = {}): InjectedFault {
    const injected = new InjectedFault(fault, options);
    this.#faults.push(injected);
    return injected;
  }

  /** Removes all faults. */
  heal(): void {
    for (const injected of this.#faults.splice(0)) injected.remove();
  }

  /** Resets every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Calls are taken and get no answer; after that long all their connections are reset. */
  async silence(forMs: number): Promise<void> {
    this.#isSilent = true;
    await delay(forMs);
    this.#isSilent = false;
    this.cut();
  }

  /** Connections are refused from now on, and those that exist are reset. */
  async down(): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    this.cut();
    await closed;
  }

  /** On the port that it had before; the first time on a free one. */
  async up(): Promise<void> {
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Calls that are still late never happen. */
  async close(): Promise<void> {
    this.#closed.abort();
    if (this.#server.listening) await this.down();
    this.#forward.close();
  }

  protected abstract operationOf(request: IncomingMessage): string;

  /** Whether `answer` must see this call as a whole, faults or none. */
  protected needsWhole(_head: HttpHead): boolean {
    return false;
  }

  /** The answer of the server, or of this proxy in its place. */
  protected answer(
    request: HttpRequest,
    ask: (request: HttpRequest) => Promise<HttpAnswer>,
  ): Promise<HttpAnswer> {
    return ask(request);
  }

  protected count(name: string, by: number): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + by);
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that has left does not hear its answer.
    response.on("error", () => {});
    if (this.#isSilent) return;
    const head: HttpHead = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      operation: this.operationOf(request),
    };
    const injected = this.#faults.find((fault) => fault.begin(head, this.#random));
    if (!injected && !this.needsWhole(head)) return this.#forward.stream(request, response);
    const call = this.#callOf({ ...head, body: await readBody(request) });
    const outcome = (injected && (await this.#strike(injected, call))) ?? (await call.forward());
    if (this.#isSilent || outcome === "silence") return;
    if (outcome === "reset") request.socket.resetAndDestroy();
    else send(response, outcome);
  }

  #callOf(request: HttpRequest): HttpCall {
    const ask = (asked: HttpRequest) => this.#forward.ask(asked);
    return {
      request,
      forward: (body = request.body) => this.answer({ ...request, body }, ask),
      random: this.#random,
      count: (name, by) => this.count(name, by),
      signal: this.#closed.signal,
    };
  }

  async #strike(injected: InjectedFault, call: HttpCall): Promise<HttpOutcome | null> {
    let outcome: HttpOutcome | null = null;
    try {
      const result = await injected.fault.strike(call);
      if (typeof result === "object" && result && "unharmed" in result) return result.unharmed;
      outcome = result;
      return outcome;
    } finally {
      injected.end(outcome !== null);
      if (outcome !== null) this.count(injected.fault.name, 1);
    }
  }
}

function send(response: ServerResponse, { status, headers, body, cutAfterBytes }: HttpAnswer): void {
  const { "transfer-encoding": _, ...rest } = headers;
  // The answer to a HEAD has the length of a body that it lacks.
  const length: OutgoingHttpHeaders = response.req.method === "HEAD" ? {} : { "content-length": body.length };
  response.writeHead(status, { ...rest, ...length });
  if (cutAfterBytes === undefined) response.end(body);
  else response.write(body.subarray(0, cutAfterBytes), () => response.socket?.resetAndDestroy());
}
