import { CodedError } from "../../devices/protocol/coded-error.ts";
import type {
  ChildRequests,
  CommittedPositions,
  FromChild,
  Refusal,
  RequestKind,
  ToChild,
} from "./messages.ts";
import { PositionsRelay } from "./positions-relay.ts";

type Handlers = {
  [Kind in RequestKind]?: (ask: ChildRequests[Kind]["ask"]) => Promise<ChildRequests[Kind]["answer"]>;
};

export interface LinkListeners {
  readonly start: (message: Extract<ToChild, { type: "start" }>) => void;
  readonly stop: () => void;
  /** May be called again with the same or older positions. */
  readonly committed?: (committed: CommittedPositions) => void;
}

/** The parts of `process` that the link uses. */
export interface LinkPort {
  send?(message: FromChild, callback: (error: Error | null) => void): boolean;
  on(event: "message", listener: (message: unknown) => void): unknown;
  on(event: "disconnect", listener: () => void): unknown;
}

/**
 * A child's end of the channel to its supervisor. The channel closes if the supervisor ends. `orphaned` must
 * then end the process at once, because a new supervisor may be starting.
 */
export class SupervisorLink {
  readonly #port: LinkPort;
  readonly #handlers: Handlers = {};
  readonly #positions = new PositionsRelay((committed, sent) =>
    this.#send({ type: "committed", committed }, sent),
  );

  constructor(port: LinkPort, listeners: LinkListeners, orphaned: () => void) {
    this.#port = port;
    port.on("disconnect", orphaned);
    port.on("message", (message) => {
      const received = message as ToChild;
      if (received.type === "start") listeners.start(received);
      else if (received.type === "stop") listeners.stop();
      else if (received.type === "committed") listeners.committed?.(received.committed);
      else this.#answer(received);
    });
  }

  /** Answers requests of this kind from now on; earlier requests received a failure. */
  serve<Kind extends RequestKind>(
    kind: Kind,
    handler: (ask: ChildRequests[Kind]["ask"]) => Promise<ChildRequests[Kind]["answer"]>,
  ): void {
    (this.#handlers as Record<RequestKind, unknown>)[kind] = handler;
  }

  ready(listening: string | null): void {
    this.#send({ type: "ready", listening });
  }

  /** Resolves once the message has left, or cannot leave. */
  refused(refusal: Refusal): Promise<void> {
    return new Promise((resolve) => this.#send({ type: "refused", refusal }, resolve));
  }

  /** Resolves once the message has left, or cannot leave. */
  alive(): Promise<void> {
    return new Promise((resolve) => this.#send({ type: "alive" }, resolve));
  }

  committed(committed: CommittedPositions): void {
    this.#positions.offer(committed);
  }

  #answer(request: Extract<ToChild, { type: "request" }>): void {
    const handler = this.#handlers[request.kind] as ((ask: unknown) => Promise<unknown>) | undefined;
    const { id } = request;
    if (!handler) {
      const refusal = {
        code: "CHILD_UNREACHABLE",
        message: "The process is not ready yet.",
        retryable: true,
      };
      this.#send({ type: "failure", id, refusal });
      return;
    }
    handler(request.ask).then(
      (answer) => this.#send({ type: "answer", id, answer }),
      (error: unknown) => this.#send({ type: "failure", id, refusal: refusalOf(error) }),
    );
  }

  #send(message: FromChild, sent: () => void = () => {}): void {
    // If the channel is closed, `disconnect` ends the process.
    if (this.#port.send) this.#port.send(message, () => sent());
    else sent();
  }
}

export function refusalOf(error: unknown): Refusal {
  if (error instanceof CodedError)
    return { code: error.code, message: error.message, retryable: error.retryable };
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "INTERNAL_ERROR", message, retryable: true };
}
